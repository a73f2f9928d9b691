"""What storing speech as Opus instead of FLAC costs and saves: bytes per clip, time, and the effect on vectors, on
speaker verification and on the map from voice to face. The clips are from a database that holds FLAC.

    python benchmarks/speech_storage.py dataset.db [--rate 48 --rate 80] [--clips 1000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_curve

from ds2f.dataset import Dataset
from ds2f.dataset.queries import to_vector
from ds2f.io.speech import decode, encode_flac, encode_opus
from ds2f.models.linear import LinearPrior, directions
from ds2f.types import Speech
from ds2f.voice.activity import cut
from ds2f.voice.campplus import CAMPlusPlus

SECONDS = 6.0
FOLDS, DRAWS = 10, 1000
ALPHA = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--rate", type=int, action="append", help="of Opus, kb/s (default: 80)")
    parser.add_argument("--clips", type=int, default=1000)
    options = parser.parse_args()
    with Dataset(options.database) as dataset:
        rows = dataset.connection.execute(
            "SELECT i.corpus || '/' || i.name AS person, s.sound, f.vector FROM speech_audio s JOIN videos v"
            " ON v.id = s.video_id JOIN identities i ON i.id = v.identity_id JOIN face_embeddings f"
            " ON f.video_id = v.id AND f.encoder = 'dlib' ORDER BY v.id LIMIT ?",
            (options.clips,),
        ).fetchall()
    people = np.unique([row["person"] for row in rows], return_inverse=True)[1]
    face = np.stack([to_vector(row["vector"]) for row in rows])
    speech = [decode(row["sound"]) for row in rows]
    seconds = sum(audio.size for audio in speech) / 16_000
    print(f"{len(rows)} clips of {people.max() + 1} people, {seconds / len(rows):.2f} s of speech on average")
    network = CAMPlusPlus(frames=True)
    before = report("FLAC", speech, encode_flac, network, people, face, None)
    for rate in options.rate or [80]:
        report(f"Opus, {rate} kb/s", speech, lambda a, r=rate: encode_opus(a, 1000 * r), network, people, face, before)  # type: ignore[misc]


def report(
    name: str,
    speech: list[np.ndarray],
    encode: Callable[[np.ndarray], bytes],
    network: CAMPlusPlus,
    people: np.ndarray,
    face: np.ndarray,
    before: np.ndarray | None,
) -> np.ndarray:
    """One way to store speech. Returns the vectors of the decoded speech.

    name: for the terminal.
    speech: n of (samples,) float32.
    encode: to bytes.
    network: the speaker encoder.
    people: (n,) int.
    face: (n, d) identities.
    before: (n, dv) vectors from FLAC.
    """
    started = time.process_time()
    stored = [encode(audio) for audio in speech]
    encoded = time.process_time()
    heard = [decode(data) for data in stored]
    decoded = time.process_time()
    assert [len(a) for a in heard] == [len(a) for a in speech]
    vectors = np.concatenate([network.embed(cut(Speech(audio, 0.0, 1.0), SECONDS).audio[None]) for audio in heard])
    spent = (time.process_time() - decoded) / len(speech)
    print(f"\n{name}: {sum(map(len, stored)) / len(stored):,.0f} bytes a clip")
    times = [1000 * t / len(speech) for t in (encoded - started, decoded - encoded)]
    print(f"  a clip: {times[0]:.1f} ms to encode, {times[1]:.1f} to decode; its vector {1000 * spent:.0f} ms")
    if before is not None:
        mean = before.mean(0)
        cosine = (directions(vectors) * directions(before)).sum(1)
        centred = (directions(vectors - mean) * directions(before - mean)).sum(1)
        for what, values in (("cosine to FLAC's", cosine), ("from the mean vector", centred)):
            low, middle = np.quantile(values, (0.01, 0.5))
            print(f"  {what}: least {values.min():.5f}, 1 % {low:.5f}, median {middle:.5f}")
    measures = {"EER": eer, "fit on folds, centred cosine": fit}
    for what, measure in measures.items():
        ours = measure(vectors, people, face)
        differences = "" if before is None else interval(measure, vectors, before, people, face)
        print(f"  {what}: {ours:.4f}{differences}", flush=True)
    return vectors


def eer(voice: np.ndarray, people: np.ndarray, face: np.ndarray) -> float:
    """Over all pairs of clips, by the cosine of their centred vectors."""
    unit = directions(voice - voice.mean(0))
    first, second = np.triu_indices(len(voice), 1)
    same = people[first] == people[second]
    wrong, right, _ = roc_curve(same, (unit @ unit.T)[first, second])
    place = int(np.argmin(np.abs(wrong - (1 - right))))
    return float((wrong[place] + 1 - right[place]) / 2)


def fit(voice: np.ndarray, people: np.ndarray, face: np.ndarray) -> float:
    """Mean cosine, relative to the mean face, of true faces and the ridge map's predictions for people it has not
    seen."""
    return float(fits(voice, people, face).mean())


def fits(voice: np.ndarray, people: np.ndarray, face: np.ndarray) -> np.ndarray:
    fold = np.random.default_rng(0).permutation(people.max() + 1)[people] % FOLDS
    found = np.empty(len(voice))
    for k in range(FOLDS):
        held_out = fold == k
        prior = LinearPrior.fit(voice[~held_out], face[~held_out], ALPHA)
        found[held_out] = np.diagonal(prior.similarity(voice[held_out], face[held_out]))
    return found


def interval(
    measure: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    voice: np.ndarray,
    before: np.ndarray,
    people: np.ndarray,
    face: np.ndarray,
) -> str:
    """The difference to FLAC, and its 95 % interval over people.

    measure: of vectors.
    voice, before: (n, dv), now and from FLAC.
    people: (n,) int.
    face: (n, d).
    """
    rng = np.random.default_rng(0)
    whole = measure(voice, people, face) - measure(before, people, face)
    if measure is fit:
        each = fits(voice, people, face) - fits(before, people, face)
        sums, counts = np.bincount(people, each), np.bincount(people)
        drawn = rng.integers(0, len(counts), (DRAWS, len(counts)))
        found = sums[drawn].sum(1) / counts[drawn].sum(1)
    else:
        several = np.flatnonzero(np.bincount(people) > 1)
        differences = []
        for _ in range(DRAWS // 10):
            chosen = np.unique(rng.choice(several, len(several)))  # the same clip twice is not a trial
            rows = np.concatenate([np.flatnonzero(people == p) for p in chosen])
            named = np.concatenate([np.full((people == p).sum(), p) for p in chosen])
            differences.append(measure(voice[rows], named, face[rows]) - measure(before[rows], named, face[rows]))
        found = np.array(differences)
    low, high = np.quantile(found, (0.025, 0.975))
    return f" ({whole:+.4f} to FLAC's, 95 % {low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
