"""CAM++ fine-tuned with speaker labels: does it distinguish calls better, for people it was not trained on?

    python benchmarks/speakers.py prepare --speech SPEECH --out work
    python benchmarks/speaker_folds.py campplus --out work [--folds 4]

The speakers with several recordings are divided into folds. For each fold, the bundled encoder is fine-tuned with the
recipe voice-robust-speakers on the names and recordings of the others, and evaluated on the fold: all pairs within a
fold, both recordings as they are or through a telephone or a codec, using five recordings each and all there are, next
to the encoders that are named. Ratios are relative to the first of these; intervals are over speakers. Existing folds
are not trained again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from ds2f.config import Config, with_recipe
from ds2f.io.codecs import through
from ds2f.training.sounds.speech import InMemory
from ds2f.voice import encoders
from speakers import EACH, SECONDS, Trials, divided, draws_of, fit, spread_over, voices_of

CONDITIONS = ("", "telephone", "opus8")
RECIPE = "voice-robust-speakers"
CLIPS = 16  # encoded at once
People = dict[str, list[np.ndarray]]


def heard(name: str, people: People) -> dict[str, np.ndarray]:
    """{condition: (n, d)}, an encoder's vectors for all recordings."""
    encoder = encoders.load(name)
    clips = [InMemory(own).crop(i, round(SECONDS * 16_000), 0.0) for own in people.values() for i in range(len(own))]
    found = {}
    for codec in CONDITIONS:
        degraded = [through(clip, codec) if codec else clip for clip in clips]
        parts = [encoder.embed(np.stack(degraded[i : i + CLIPS])) for i in range(0, len(degraded), CLIPS)]
        found[codec] = np.concatenate(parts)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="encoders to measure beside it")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=4)
    options = parser.parse_args()
    _, several, others = divided(options.out)
    people = dict(sorted((several | others).items()))
    names = list(people)
    person = np.repeat(np.arange(len(names)), [len(own) for own in people.values()])
    fixed = {name: heard(name, people) for name in options.names}
    found: dict[str, dict[tuple[str, bool], list[Trials]]] = {name: {} for name in (*options.names, "with names")}
    for fold in range(options.folds):
        held_out = np.arange(len(names)) % options.folds == fold
        learnt = {name: people[name] for name, out in zip(names, held_out, strict=True) if not out}
        folder = options.out / f"names-{fold}"
        if not (folder / "voice.json").exists():
            train = replace(with_recipe(Config(), RECIPE).train, save_seconds=1e9)
            few = dict(list(learnt.items())[:2])
            fit(folder.name, train, voices_of(learnt), voices_of(few), options.out, 0, train.voice_utterances)
        rows = np.flatnonzero(held_out[person])
        own = heard(f"ds2f:{folder}", {name: people[name] for name, out in zip(names, held_out, strict=True) if out})
        five = _five(person[rows])
        for name, vectors in (*fixed.items(), ("with names", None)):
            for codec in CONDITIONS:
                said = own[codec] if vectors is None else vectors[codec][rows]
                for every, some in ((False, five), (True, np.arange(len(rows)))):
                    found[name].setdefault((codec, every), []).append(
                        Trials.of(said[some], said[some], person[rows][some])
                    )
    report(found, len(names))


def _five(person: np.ndarray) -> np.ndarray:
    """EACH rows for everybody, spread evenly."""
    spread = [np.flatnonzero(person == one) for one in np.unique(person)]
    return np.concatenate([own[spread_over(len(own))] for own in spread])


def report(found: dict[str, dict[tuple[str, bool], list[Trials]]], people: int) -> None:
    draws, base = draws_of(people), next(iter(found))
    for name, by_condition in found.items():
        for (codec, every), folds in by_condition.items():
            own, first = Trials.together(folds), Trials.together(found[base][codec, every])
            drawn, before = ([trials.eer(count) for count in draws] for trials in (own, first))
            ratios = np.array(drawn) / np.maximum(before, 1e-9)
            (low, high), (least, most) = (np.percentile(values, (2.5, 97.5)) for values in (drawn, ratios))
            print(
                f"{name} | {codec or 'clean'} | {'all' if every else EACH} | {len(own.score)} | "
                f"{100 * own.eer():.2f} % [{100 * low:.1f}-{100 * high:.1f}] | "
                f"{own.eer() / first.eer():.2f} [{least:.2f}-{most:.2f}]",
                flush=True,
            )


if __name__ == "__main__":
    main()
