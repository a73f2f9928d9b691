"""Training of speaker encoders on made-up speakers: each says syllables of a chord of their own, over noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ds2f.cli import main
from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store as store_result
from ds2f.errors import UserError
from ds2f.io.speech import encode_flac
from ds2f.models import store
from ds2f.models.packing import unpacked
from ds2f.models.speaker.encoder import Learnt
from ds2f.training import jobs
from ds2f.training.loop import Options, train
from ds2f.training.sounds.speech import InMemory, Voices, load_voices
from ds2f.training.voice import VoiceTask, begin, learnt_before, moving
from ds2f.types import CorpusItem, StoredSpeech
from ds2f.voice import encoders
from ds2f.voice.campplus_graph import WEIGHTS, heard_without_names
from helpers import PLAN, extracted, noise, tone, wanting

CPU = torch.device("cpu")
SMALL = Train(
    voice_network="resnetse34l",
    voice_width=8,
    voice_batch=4,
    voice_seconds=0.5,
    voice_utterances=48,
    voice_speed=False,
    device="cpu",
)
TOML = """
[train]
voice_network = "resnetse34l"
voice_width = 8
voice_batch = 4
voice_seconds = 0.5
voice_utterances = 24
device = "cpu"
"""


def spoken(speaker: int, take: int) -> np.ndarray:
    """1.2 s of a speaker."""
    chord = sum(tone(1.2, pitch, 0.1) for pitch in np.random.default_rng(speaker).uniform(100, 3000, 4))
    syllables = np.repeat(np.random.default_rng(take).integers(0, 2, 12), 1_600)
    return np.asarray(chord * syllables + noise(1.2, 0.02, take), np.float32)


def made_up(speakers: int, takes: int, first: int = 0) -> Voices:
    sounds = [np.round(32768 * spoken(first + s, t)).astype(np.int16) for s in range(speakers) for t in range(takes)]
    return Voices(InMemory(sounds), np.repeat(np.arange(speakers), takes))


def fill(dataset: Dataset, speakers: int, takes: int) -> None:
    """Enter them as sounds with stored speech."""
    items = [
        CorpusItem(f"{s:02d}/{t}.wav", "folder", f"{s:02d}", 1, 1, kind="sound")
        for s in range(speakers)
        for t in range(takes)
    ]
    dataset.add_items(Path("/sounds"), "sound", items, SplitRule(val=0.4, test=0))
    for number, job in enumerate(wanting(dataset)):
        speaker, take = int(job.source.path.parent.name), int(job.source.path.stem)
        speech = StoredSpeech(encode_flac(spoken(speaker, take)), 0.0, 1.2, 1, "1 of 1")
        store_result(dataset, job, replace(extracted(number), speech=speech, face=None), PLAN)


def test_it_learns_to_tell_speakers_apart(tmp_path: Path) -> None:
    """Speakers that it has not heard."""
    torch.manual_seed(0)
    settings = replace(SMALL, voice_network="ecapa-tdnn", voice_width=32, voice_augment=0.1, voice_codecs=0.0)
    task = VoiceTask(begin(settings), made_up(12, 3), made_up(6, 3, first=50), settings, CPU)
    before = task.validate(task.model)
    options = Options(tmp_path, batch=8, total=8 * 7, lr=2e-3, seed=0, save_seconds=1e9, muon=False)
    after = task.validate(train(task, options))
    assert after < 0.7 * before


def test_speech_from_memory_and_from_the_file_is_the_same(dataset: Dataset) -> None:
    fill(dataset, 6, 2)
    kept, read = (load_voices(dataset, "train", memory) for memory in (1e9, 0.0))
    assert len(kept) == len(read) > 6
    np.testing.assert_array_equal(kept.person, read.person)
    for samples, place in ((8_000, 0.0), (8_000, 0.7), (40_000, 0.3)):
        crop = kept.speech.crop(3, samples, place)
        assert crop.shape == (samples,)
        np.testing.assert_allclose(read.speech.crop(3, samples, place), crop, atol=1e-6)


def test_what_is_heard_follows_from_the_seed_alone() -> None:
    torch.manual_seed(0)
    settings = replace(SMALL, voice_speed=True, voice_augment=1.0, voice_codecs=0.5)
    task = VoiceTask(begin(settings), made_up(4, 2), made_up(2, 2), settings, CPU)
    first, second, other = (task._turn(1, 2, seed) for seed in (5, 5, 6))
    for one, same, another in zip(first, second, other, strict=True):
        assert one.shape == (2, 8_000)
        np.testing.assert_array_equal(one, same)
        assert not np.allclose(one, another)
    assert not np.allclose(*first)


def test_going_on_from_the_box_begins_as_the_one_in_the_box() -> None:
    encoder = begin(replace(SMALL, voice_from="campplus", voice_width=0)).eval()
    clips = np.stack([spoken(1, 1)])
    with torch.no_grad():
        ours = torch.nn.functional.normalize(encoder(torch.from_numpy(clips)), dim=1).numpy()
    state = unpacked(load_file(WEIGHTS))
    assert sum(v.numel() for v in state.values()) == sum(p.numel() for p in encoder.parameters())
    theirs = encoders.load("campplus", precision="float32").embed(clips)
    assert float((ours * theirs).sum()) > 0.9999


def test_keeping_to_the_teacher_costs_nothing_where_nothing_was_changed() -> None:
    torch.manual_seed(0)
    settings = replace(SMALL, voice_from="x", voice_keep=1.0, voice_share=0.0, voice_augment=0.0, voice_codecs=0.0)
    encoder = begin(SMALL)
    for changed, most in ((settings, 1e-6), (replace(settings, voice_codecs=1.0), 10.0)):
        task = VoiceTask(encoder, made_up(4, 2), made_up(2, 2), changed, CPU)
        loss = task.model.eval() and task.loss(torch.arange(4), torch.Generator().manual_seed(0)).item()
        assert loss <= most
    assert loss > 1e-3


def test_another_teacher_is_the_one_that_is_kept_to(tmp_path: Path) -> None:
    """Nothing is changed in the sound, so the loss is nought for whoever begins as the teacher, and for nobody else."""
    plain = replace(SMALL, voice_from="x", voice_keep=1.0, voice_share=0.0, voice_augment=0.0, voice_codecs=0.0)
    encoders = []
    for seed in range(2):
        torch.manual_seed(seed)
        encoders.append(begin(SMALL))
    store.save(tmp_path / "teacher", encoders[0], {}, precision="float32")
    settings = replace(plain, voice_teacher=str(tmp_path / "teacher"))
    losses = []
    for encoder in encoders:
        task = VoiceTask(encoder, made_up(4, 2), made_up(2, 2), settings, CPU)
        losses.append(task.model.eval() and task.loss(torch.arange(4), torch.Generator().manual_seed(0)).item())
    assert losses[0] <= 1e-6
    assert losses[1] > 0.1


def test_frozen_parts_stay_as_they_are_to_the_bit_and_the_others_learn(tmp_path: Path) -> None:
    """Statistics of batches are part of them."""
    torch.manual_seed(0)
    encoder = begin(SMALL)
    before = {name: value.clone() for name, value in encoder.network.state_dict().items()}
    settings = replace(SMALL, voice_from="x", voice_frozen=["conv1", "bn1", "layer1", "layer2.0"])
    task = VoiceTask(encoder, made_up(4, 2), made_up(2, 2), settings, CPU)
    train(task, moving(Options(tmp_path, batch=4, total=8, lr=1e-3, seed=0, save_seconds=1e9), settings))
    moved = {name for name, value in encoder.network.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith(("conv1.", "bn1.", "layer1.", "layer2.0.")) for name in moved)
    assert {"layer2.1.conv1.weight", "layer2.1.bn1.running_mean", "fc.weight"} <= moved


def test_a_part_that_the_network_has_not_is_named_with_those_that_it_has() -> None:
    settings = replace(SMALL, voice_from="x", voice_frozen=["block.0"])
    with pytest.raises(UserError, match=r"resnetse34l has no part 'block.0'; it has layer1, .*, fc"):
        VoiceTask(begin(SMALL), made_up(4, 2), made_up(2, 2), settings, CPU)


def test_whom_the_encoder_before_had_learnt_from_is_not_forgotten(tmp_path: Path) -> None:
    store.save(tmp_path, begin(SMALL), Learnt(frozenset("a"), frozenset("b")).on_card(), precision="float32")
    before = learnt_before(replace(SMALL, voice_from=str(tmp_path)))
    assert before == (frozenset("a"), frozenset("b"))
    assert before.and_then(["b", "c"], told=True) == (frozenset("abc"), frozenset())
    assert before.and_then(["a", "c"], told=False) == (frozenset("a"), frozenset("bc"))
    assert learnt_before(SMALL) == (frozenset(), frozenset())
    assert learnt_before(replace(SMALL, voice_from="campplus")).heard == heard_without_names() != frozenset()


def test_a_teacher_of_another_form_is_refused() -> None:
    settings = replace(SMALL, voice_from="x", voice_keep=1.0, voice_teacher="campplus")
    with pytest.raises(
        UserError, match=r"voice_teacher: campplus says \(192, 512\) numbers .* take one of the same form"
    ):
        VoiceTask(begin(SMALL), made_up(4, 2), made_up(2, 2), settings, CPU)


def test_too_few_speakers_or_recordings_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    fill(dataset, 1, 3)
    with pytest.raises(UserError, match=r"The train split of .* has the speech of [01] speakers; .*two at least"):
        jobs.train("voice", dataset.path, tmp_path / "runs", SMALL)
    fill(dataset, 8, 1)
    with pytest.raises(UserError, match=r"speakers of the train split of .* has two recordings; two at least must"):
        jobs.train("voice", dataset.path, tmp_path / "runs", SMALL)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"voice_each": 1, "voice_loss": "ge2e"}, "voice_each must be at least 2"),
        ({"voice_teacher": "campplus"}, "has no effect: set voice_keep"),
    ],
)
def test_keys_that_do_not_go_together(keys: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Train(**keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"voice_keep": 1.0}, "needs an encoder to match"),
        ({"voice_frozen": ["head"]}, "freezes random weights: set voice_from"),
    ],
)
def test_what_needs_an_encoder_to_start_from_says_so_and_may_get_it_later(keys: dict[str, object], words: str) -> None:
    """A recipe may state the one key and ds2f.toml, or --from, the other."""
    settings = replace(SMALL, **keys)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=words):
        begin(settings)
    assert begin(replace(settings, voice_from="campplus")).config.network == "campplus"


def test_the_command_trains_resumes_bit_for_bit_and_goes_on_from_it(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dataset, 12, 2)
    (tmp_path / "ds2f.toml").write_text(TOML)

    def run(name: str, *more: str) -> Path:
        arguments = ["--config", tmp_path / "ds2f.toml", "--database", dataset.path, "--runs", tmp_path / name]
        assert main(["train", "voice", *map(str, arguments), *more]) in (0, 130)
        return tmp_path / name / "voice" / "voice.safetensors"

    whole = run("whole").read_bytes()
    said = capsys.readouterr().out
    assert "equal error rate" in said
    assert "The speaker encoder is in" in said
    described = json.loads((tmp_path / "whole" / "voice" / "voice.json").read_text())
    assert described["config"]["features"]["bins"] == 40
    assert len(described["card"]["speakers"]) == described["card"]["speakers_heard"]

    calls, loss = 0, VoiceTask.loss

    def stopped(*arguments: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return loss(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(VoiceTask, "loss", stopped)
    assert not run("parts").exists()
    assert run("parts").read_bytes() == whole
    encoder = encoders.load(f"ds2f:{tmp_path / 'whole' / 'voice'}")
    assert encoder.embed(np.stack([spoken(1, 1)])).shape == (1, 512)

    run("further", "--from", str(tmp_path / "whole" / "voice"), "--dry-run")
    assert "voice_from" in capsys.readouterr().out
    with pytest.raises(UserError, match="is a resnetse34l, whose network and features cannot be changed"):
        begin(replace(SMALL, voice_network="campplus", voice_width=0, voice_from=str(tmp_path / "whole" / "voice")))
    assert main(["train", "prior", "--database", str(dataset.path), "--from", "campplus"]) == 2
    assert "--from is for voice" in capsys.readouterr().err
