"""A decoder that hears several speaker encoders and the language: stored rows to faces that follow each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.config import Audio, Train
from ds2f.dataset import Dataset
from ds2f.dataset.plan import Plan
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.io.images import encode_webp
from ds2f.models.store import load_decoder
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.speech2face.wishes import make_wish
from ds2f.training import jobs
from ds2f.training.faces import load_faces
from ds2f.types import Language
from ds2f.voice.acoustics import FEATURES
from helpers import PLAN, extracted, item, wanting

OTHER = "wespeaker/v2.1"  # a name with a dot, which parameters cannot have
SIZE = 16
TINY = Train(
    device="cpu", decoder_size=SIZE, decoder_width=64, decoder_depth=1, decoder_batch=64, decoder_images=64 * 100,
    decoder_lr=3e-3, decoder_likeness=0.0, prior_steps=10, prior_batch=16, voices=["campplus-frames", OTHER],
    fast_batch=8, fast_faces=8 * 4, fast_likeness=0.0, save_seconds=1e9,
)  # fmt: skip


def people(dataset: Dataset, count: int) -> Plan:
    """Recordings whose faces are red as the first encoder has it, green as the second, and blue in German."""
    rng = np.random.default_rng(0)
    plan = replace(PLAN, voices=((6.0, "campplus-frames"), (6.0, OTHER)), languages=("whisper:tiny",))
    dataset.add_items(Path("/videos"), "video", [item(f"{i:04d}.mp4", str(i)) for i in range(count)], SplitRule())
    for number, job in enumerate(wanting(dataset, plan)):
        made, (red, green), german = extracted(number), rng.choice([-1.0, 1.0], 2), number % 2
        assert made.face is not None
        colour = [128 + 90 * red, 128 + 90 * green, 128 + 90 * (1 if german else -1)]
        crop = np.broadcast_to(np.array(colour, np.uint8), (32, 32, 3))
        voices = {(6.0, "campplus-frames"): np.full(256, red), (6.0, OTHER): np.full(12, green)}
        store(
            dataset,
            job,
            replace(
                made,
                face=replace(made.face, webp=encode_webp(np.ascontiguousarray(crop))),
                voices={key: v.astype(np.float32) for key, v in voices.items()},
                languages={"whisper:tiny": Language("de" if german else "en", 0.9)},
            ),
            plan,
        )
    return plan


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Speech2Face:
    folder = tmp_path_factory.mktemp("several")
    with Dataset(folder / "d.db", create=True) as dataset:
        people(dataset, 200)
    for name in ("prior", "decoder", "fast-decoder"):
        jobs.train(name, folder / "d.db", folder / "runs", TINY)
    return Speech2Face.from_pretrained(folder / "runs" / "model", device="cpu")


def colour(
    model: Speech2Face, first: float | None, second: float | None, settings: SamplingSettings, **wish: str
) -> np.ndarray:
    """Mean colour of eight faces drawn by the voice itself: (3,)."""
    parts = {"campplus-frames": (first, 256), OTHER: (second, 12)}
    heard = {name: None if v is None else np.full(d, v, np.float32) for name, (v, d) in parts.items()}
    voices = np.repeat(model.voice_inputs([heard]), 8, 0)
    drawn = model.sample_images(
        None, range(8), settings, wish=make_wish(**wish), voice_conditions=model.voice_conditions(voices)
    )
    return np.asarray(drawn.mean((0, 1, 2)))


def test_what_is_stored_becomes_conditions(model: Speech2Face) -> None:
    config = model.decoder.config
    assert config.conditions["voice:campplus-frames"] == 256
    assert config.conditions["voice:wespeaker/v2_1"] == 12
    assert config.conditions["language"] == 2
    assert config.languages == ("de", "en")
    assert load_decoder(model.folder).config == config


@pytest.mark.parametrize("fast", [False, True])
def test_each_encoder_moves_its_colour_and_no_other(model: Speech2Face, fast: bool) -> None:
    settings = SamplingSettings(fast=fast)
    base, red, green = (colour(model, *v, settings) for v in ((-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0)))
    assert model.details(settings)["fast"] == fast
    assert red[0] - base[0] > 80
    assert green[1] - base[1] > 80
    assert abs(red[1] - base[1]) < 0.5 * (red[0] - base[0])
    assert abs(green[0] - base[0]) < 0.5 * (green[1] - base[1])


def test_one_encoder_alone_is_enough_and_has_its_own_weight(model: Speech2Face) -> None:
    assert colour(model, 1.0, None, SamplingSettings())[0] > 150
    assert colour(model, None, 1.0, SamplingSettings())[1] > 150
    # Against red and by unlike noise, so that green is not at its brightest yet: what is saturated no weight can move.
    little, much = (
        colour(model, -1.0, 1.0, SamplingSettings(light=1.0, guidance={"voice": 1.0, "voice:wespeaker/v2_1": weight}))
        for weight in (0.0, 3.0)
    )
    assert much[1] - little[1] > 10
    assert much[1] - little[1] > 2 * abs(much[0] - little[0])


def test_only_who_hears_a_recording_must_say_where_the_encoder_lies(model: Speech2Face) -> None:
    sound = (np.zeros(16000, np.float32), 16000)
    with pytest.raises(UserError, match=r"hears wespeaker/v2.1; say where it lies in \[audio\] encoders"):
        model.encode_voice(sound)
    told = Audio(encoders=["campplus-frames", "wespeaker:v2.1.onnx"])
    with pytest.raises(UserError, match=r"no speaker encoder at v2\.1\.onnx"):
        Speech2Face.from_pretrained(model.folder, device="cpu", audio=told).encode_voice(samples() / "person-1.mp4")


def test_the_language_is_a_wish_that_is_drawn(model: Speech2Face) -> None:
    german, english = (colour(model, 1.0, 1.0, SamplingSettings(), language=code) for code in ("de", "en"))
    assert german[2] - english[2] > 60
    with pytest.raises(UserError, match="knows the languages de, en, not 'fr'"):
        colour(model, 1.0, 1.0, SamplingSettings(), language="fr")
    shipped = Speech2Face.from_pretrained(device="cpu")
    with pytest.raises(UserError, match="cannot be conditioned on language"):
        shipped.sample_faces(np.zeros((1, 512), np.float32), [0], wish=make_wish(language="en"))


def test_acoustics_that_could_not_be_measured_are_taken_as_average(dataset: Dataset) -> None:
    plan = people(dataset, 10)
    assert plan.languages
    dataset.connection.execute(
        f"INSERT INTO acoustics (video_id, {FEATURES[0].name}) SELECT id, CASE id % 2 WHEN 0 THEN 9.0 END FROM videos"
    )
    faces = load_faces(dataset, "train", SIZE, ["campplus-frames", "acoustics"])
    values = faces.conditions["voice:acoustics"].value
    assert torch.isfinite(values).all()
    with pytest.raises(UserError, match="no rows of 'titanet/x'"):
        load_faces(dataset, "train", SIZE, ["campplus-frames", "titanet/x"])
