"""Is a speaker encoder that was made robust better for faces too? Measured by a ridge map on telephone speech.

    python benchmarks/robust_faces.py DATABASE campplus-frames ds2f-frames:runs/voice

Uses all pairs of voice and face in folds by person. A ridge map to faces is fitted to the clean voices of each fold's
training people; for the held-out people, it predicts from their voices as they are and through a telephone or a codec:
at what rank among the fold's faces is the true one? Intervals are over people, for the difference to the first encoder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ds2f.dataset import Dataset
from ds2f.dataset.speech import Sounds
from ds2f.io.codecs import through
from ds2f.io.speech import decode
from ds2f.models.linear import LinearPrior
from ds2f.training.pairs import folds
from ds2f.voice import encoders
from face_encoder import CLIP, FOLDS, places

CONDITIONS = ("", "telephone", "opus8")


def voices(spec: str, clips: list[np.ndarray]) -> dict[str, np.ndarray]:
    """{condition: (n, d)}, of length one."""
    encoder = encoders.load(spec)
    return {
        codec: np.concatenate([encoder.embed((through(c, codec) if codec else c)[None]) for c in clips])
        for codec in CONDITIONS
    }


def asked(heard: dict[str, np.ndarray], face: np.ndarray, person: np.ndarray) -> dict[str, np.ndarray]:
    """{condition: (n,) rank of the true face, see `places`}."""
    fold = folds(person, FOLDS)
    found = {codec: np.zeros(len(fold)) for codec in heard}
    for k in range(FOLDS):
        train, test = fold != k, fold == k
        ridge = LinearPrior.fit_to_people(heard[""][train], face[train], person[train])
        true = face[test] - ridge.identity_mean
        for codec, voice in heard.items():
            found[codec][test] = places(ridge.predict(voice[test]) - ridge.identity_mean, true, person[test])
    return found


def gain(place: np.ndarray, base: np.ndarray, person: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval over people of the mean of base − place: how much the rank of the true face has
    improved."""
    rng, sums, count = np.random.default_rng(0), np.bincount(person, base - place), np.bincount(person)
    drawn = rng.integers(len(count), size=(1000, len(count)))
    low, high = np.percentile(sums[drawn].sum(1) / count[drawn].sum(1), (2.5, 97.5))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("encoders", nargs="+")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with Dataset(options.database) as dataset:
        pairs, sounds = dataset.pairs(), Sounds(options.database)
        clips = [np.resize(decode(sounds[pair.video_id]), CLIP) for pair in pairs]
    face = np.stack([pair.identity for pair in pairs])
    _, person = np.unique([pair.person for pair in pairs], return_inverse=True)
    shown, first = {}, dict[str, np.ndarray]()
    for spec in options.encoders:
        heard = voices(spec, clips)
        found = asked(heard, face, person)
        first = first or found
        for codec, place in found.items():
            low, high = gain(place, first[codec], person)
            area, cosine = 1 - float(place.mean()), float((heard[""] * heard[codec]).sum(1).mean())
            nearer, name = float((first[codec] - place).mean()), f"{spec}, {codec or 'clean'}"
            shown[name] = {"area": area, "gain": nearer, "low": low, "high": high, "cosine": cosine}
            print(
                f"{name}: area {area:.2%}, {nearer:+.2%} [{low:+.2%} to {high:+.2%}], cosine {cosine:.3f}", flush=True
            )
    if options.out:
        options.out.write_text(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
