"""Speaker encoders trained here, on people they were not trained on, by equal error rate.

    python benchmarks/speakers.py prepare --speech SPEECH --out work     # find the speech in all recordings, once
    python benchmarks/speakers.py losses --out work --minutes 7          # each loss from scratch, equal processor time
    python benchmarks/speakers.py robust --out work --minutes 20         # CAM++ for telephones and codecs
    python benchmarks/speakers.py measure campplus resemblyzer FOLDER --out work

SPEECH contains speakers.csv (path, source, speaker, ...). Of the speakers with several recordings, every other one, by
name, is held out for evaluation, with five recordings each; `robust` uses none of them. Trials are all pairs of
recordings, six seconds each, as they are, or both through a telephone or a codec; intervals are over speakers.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ds2f.config import Audio, Train
from ds2f.dataset import Dataset
from ds2f.errors import ItemError
from ds2f.evaluation.verification import equal_error_rate, min_dcf
from ds2f.io.codecs import through
from ds2f.models import store
from ds2f.training.loop import train
from ds2f.training.sounds.speech import InMemory, Voices, load_voices
from ds2f.training.start import make_options
from ds2f.training.voice import Voiced, VoiceTask, begin, moving
from ds2f.voice import encoders
from ds2f.voice.base import SpeakerEncoder
from ds2f.voice.encode import VoiceEncoder
from ds2f.voice.recording import sound_in

SECONDS = 6.0
EACH = 5  # recordings of a speaker used in evaluation
LOSSES = ("softmax", "am-softmax", "aam-softmax", "prototypical", "angular-prototypical", "ge2e")
CONDITIONS = ("", "telephone", "opus8", "aac16")
DRAWS = 300  # of people
CPU = torch.device("cpu")


def prepare(speech: Path, out: Path) -> None:
    """Speech without pauses, as kept by extraction, for all recordings: speech.npz, {path: (samples,) int16}."""
    audio = Audio()
    found: dict[str, Any] = {}
    hear = VoiceEncoder(audio)
    for row in rows_of(speech):
        try:
            found[row["path"]] = np.round(hear.search(sound_in(speech / row["path"], audio)).audio * 32768)
        except ItemError as error:
            print(f"{row['path']}: {error.reason}")
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "speech.npz", **{path: sound.astype(np.int16) for path, sound in found.items()})


def rows_of(speech: Path) -> list[dict[str, str]]:
    with (speech / "speakers.csv").open() as file:
        return list(csv.DictReader(file))


def divided(out: Path) -> tuple[dict[str, list[np.ndarray]], dict[str, list[np.ndarray]], dict[str, list[np.ndarray]]]:
    """{speaker: sounds} for speakers with one recording, and for those with several, divided into training and
    evaluation."""
    people: dict[str, list[np.ndarray]] = {}
    stored = np.load(out / "speech.npz")
    for path in stored.files:
        people.setdefault("/".join(path.split("/")[:2]), []).append(stored[path])
    several = sorted(name for name, sounds in people.items() if len(sounds) > 1)
    once = {name: sounds for name, sounds in people.items() if len(sounds) == 1}
    return once, {n: people[n] for n in several[::2]}, {n: people[n] for n in several[1::2]}


def voices_of(people: dict[str, list[np.ndarray]]) -> Voices:
    sounds = [sound for own in people.values() for sound in own]
    return Voices(InMemory(sounds), np.repeat(np.arange(len(people)), [len(own) for own in people.values()]))


def spread_over(count: int) -> np.ndarray:
    """EACH of this many recordings: (EACH,) int."""
    return np.linspace(0, count - 1, EACH).round().astype(int)


def measured(people: dict[str, list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """(n, samples) float32 clips and (n,) int, their speakers: EACH for everybody, spread evenly."""
    clips, person = [], []
    for number, own in enumerate(people.values()):
        for i in spread_over(len(own)):
            clips.append(InMemory(own).crop(int(i), round(SECONDS * 16_000), 0.0))
            person.append(number)
    return np.stack(clips), np.array(person)


@dataclass(frozen=True)
class Trials:
    """Pairs of two recordings. score, same: (n,), whether of one person; first, second: the speakers."""

    score: np.ndarray
    same: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @staticmethod
    def of(vectors: np.ndarray, other: np.ndarray, person: np.ndarray) -> Trials:
        """All pairs. vectors, other: (k, d), for the first and the second of a pair; person: (k,)."""
        one, another = np.nonzero(np.triu(np.ones((len(person),) * 2, bool), 1))
        same = person[one] == person[another]
        return Trials((vectors @ other.T)[one, another], same, person[one], person[another])

    @staticmethod
    def together(parts: Sequence[Trials]) -> Trials:
        columns = zip(*((p.score, p.same, p.first, p.second) for p in parts), strict=True)
        return Trials(*map(np.concatenate, columns))

    def eer(self, count: np.ndarray | None = None) -> float:
        """count: (people,), weight of each; None: one."""
        if count is None:
            return equal_error_rate(self.score, self.same)
        times = np.where(self.same, count[self.first], count[self.first] * count[self.second])
        return equal_error_rate(self.score, self.same, times)


def draws_of(people: int, draws: int = DRAWS) -> list[np.ndarray]:
    """How often each is in a bootstrap draw of as many people, with replacement: (people,), draw by draw."""
    rng = np.random.default_rng(0)
    return [np.bincount(rng.integers(people, size=people), minlength=people) for _ in range(draws)]


def rates(vectors: np.ndarray, other: np.ndarray, person: np.ndarray) -> dict[str, Any]:
    """EER with its 95 % bootstrap interval over speakers, and minDCF, over all pairs of a recording of `vectors` and
    another of `other`."""
    trials = Trials.of(vectors, other, person)
    low, high = np.percentile([trials.eer(count) for count in draws_of(person.max() + 1)], (2.5, 97.5))
    dcf = min_dcf(trials.score, trials.same)
    return {"eer": trials.eer(), "low": low, "high": high, "min_dcf_01": dcf, "trials": len(trials.score)}


def measure(
    encoder: SpeakerEncoder, people: dict[str, list[np.ndarray]], conditions: tuple[str, ...]
) -> dict[str, Any]:
    """{condition: rates}; in "clean-CODEC", only the second recording went through the codec."""
    clips, person = measured(people)
    clean = encoder.embed(clips)
    found: dict[str, Any] = {}
    for codec in conditions:
        heard = encoder.embed(np.stack([through(clip, codec) for clip in clips])) if codec else clean
        usable = np.isfinite(clean).all(1) & np.isfinite(heard).all(1)
        found[codec or "clean"] = rates(heard[usable], heard[usable], person[usable])
        if codec:
            found[f"clean-{codec}"] = rates(clean[usable], heard[usable], person[usable])
            found[f"clean-{codec}"]["cosine"] = float((clean * heard)[usable].sum(1).mean())
    return found


def fit(
    name: str,
    settings: Train,
    voices: Voices,
    held_out: Voices,
    out: Path,
    minutes: float,
    crops: int = 0,
    frozen: str = "",
) -> Path:
    """Train a speaker encoder and save it. Returns the model's folder.

    name: of the folder.
    settings: [train] voice_….
    voices: training data.
    held_out: validation data.
    out: where to create the folder.
    minutes: of processor time.
    crops: number to train on instead, if other work on the machine would make minutes incomparable.
    frozen: part of the network that does not change, such as head.
    """
    torch.manual_seed(settings.seed)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF)
    task = VoiceTask(begin(settings), voices, held_out, settings, CPU)
    if frozen:
        task.model.encoder.network.get_submodule(frozen).requires_grad_(False)
    each, batch = settings.voice_each, settings.voice_batch
    rows = torch.arange(min(batch, task.size))
    start = time.process_time()
    for number in range(2):
        task.loss(rows, torch.Generator().manual_seed(number)).backward()
    task.model.zero_grad(set_to_none=True)
    turn = (time.process_time() - start) / 2 / len(rows)
    total = max(batch, int((60 * minutes - (time.process_time() - began)) / turn) // batch * batch)
    if crops:
        total = crops // each // batch * batch
    options = make_options(out / "runs" / name, settings, CPU, batch, total, settings.voice_lr)

    def say(done: int, total: int, note: str = "") -> None:
        print(f"{name} {done}/{total} {note}", flush=True)

    model = train(task, moving(options, settings), say)
    assert isinstance(model, Voiced)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    card = {"crops": total * each, "processor_seconds": seconds, "settings": str(settings)}
    store.save(out / name, model.encoder, card, "float32")
    return out / name


def losses(out: Path, minutes: float, crops: int, names: tuple[str, ...]) -> None:
    once, several, people = divided(out)
    voices, held_out = voices_of(once | several), voices_of(dict(list(several.items())[:4]))
    for name in names:
        settings = Train(
            voice_network="ecapa-tdnn",
            voice_width=128,
            voice_loss=name,  # type: ignore[arg-type]
            voice_batch=16,
            voice_each=2,
            people="alike",
            voice_augment=0.3,
            voice_codecs=0.0,
            voice_speed=False,
            save_seconds=1e9,
        )
        folder = fit(name, settings, voices, held_out, out, minutes, crops)
        report(name, encoders.load(f"ds2f:{folder}"), people, ("",), out)


def robust(out: Path, minutes: float, database: Path | None, settings: Train, name: str, frozen: str) -> None:
    """CAM++, and its results for people with several recordings, none of whom it was trained on.

    out: folder of speech.npz.
    minutes: of processor time.
    database: of further speech.
    settings: [train] voice_….
    name: of the folder.
    frozen: see `fit`.
    """
    once, several, people = divided(out)
    heard = voices_of(once)
    if database is not None:
        with Dataset(database) as dataset:
            more = load_voices(dataset, "train", 1e10)
        assert isinstance(heard.speech, InMemory)
        assert isinstance(more.speech, InMemory)
        sounds = [*heard.speech.sounds, *more.speech.sounds]
        heard = Voices(InMemory(sounds), np.concatenate([heard.person, more.person + heard.people]))
    folder = fit(name, settings, heard, voices_of(dict(list(once.items())[:2])), out, minutes, frozen=frozen)
    report(name, encoders.load(f"ds2f:{folder}"), several | people, CONDITIONS, out)


def report(name: str, encoder: SpeakerEncoder, people: dict[str, Any], conditions: tuple[str, ...], out: Path) -> None:
    found = measure(encoder, people, conditions)
    (out / f"{name.replace(':', '-').replace('/', '-')}.{len(people)}.json").write_text(json.dumps(found, indent=2))
    for condition, m in found.items():
        moved = f", cosine {m['cosine']:.3f}" if "cosine" in m else ""
        shown = f"{100 * m['eer']:.2f} % [{100 * m['low']:.1f}-{100 * m['high']:.1f}], minDCF {m['min_dcf_01']:.3f}"
        print(f"{name} ({len(people)} speakers) {condition}: EER {shown}{moved}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prepare", "losses", "robust", "measure"))
    parser.add_argument("names", nargs="*", help="losses, or encoders")
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--database", type=Path, help="of further speech without labels of its speakers")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--crops", type=int, default=0, help="of losses, the same for all, in place of --minutes")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--share", type=float, default=0.0, help="of the speakers' loss in robust")
    parser.add_argument("--frozen", default="", metavar="PART", help="of CAM++, such as head")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--name", default="robust")
    parser.add_argument("--conditions", default=",".join(CONDITIONS), metavar="CODEC,...", help="of measure")
    options = parser.parse_args()
    if options.what == "prepare":
        prepare(options.speech, options.out)
    elif options.what == "losses":
        losses(options.out, options.minutes, options.crops, tuple(options.names) or LOSSES)
    elif options.what == "robust":
        settings = Train(
            voice_from="campplus",
            voice_keep=1.0,
            voice_share=options.share,
            voice_lr=options.lr,
            voice_batch=options.batch,
            voice_seconds=options.seconds,
            voice_each=1,
            voice_augment=0.3,
            voice_codecs=0.8,
            voice_speed=False,
            save_seconds=1e9,
        )
        robust(options.out, options.minutes, options.database, settings, options.name, options.frozen)
    else:
        _, several, people = divided(options.out)
        for name in options.names:
            report(name, encoders.load(name), people, ("",), options.out)
            report(name, encoders.load(name), several | people, tuple(options.conditions.split(",")), options.out)


if __name__ == "__main__":
    main()
