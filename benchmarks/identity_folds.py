"""What dlib's 128 numbers lose of a person: should the identity that the prior predicts and the decoder uses carry
more?

    python benchmarks/identity_folds.py DATABASE --faces FACES --judge tflite:MobileFaceNet.tflite
        --faceres faceres.json

Uses all pairs of DATABASE in folds by person. A ridge map from the voice (campplus-frames) is fitted to dlib's identity
alone, or to it together with a second recogniser's vector, the colour of skin and hair, or both; its predictions for
held-out people are mapped to the space of a third recogniser, which no map from a voice has seen, by a second ridge
map. That one is fitted to true faces, the training people's and those of FACES (one picture each; with --apart those of
FACES alone), each relative to their own mean, so it knows what a perfect decoder would know: how people with this
identity appear to that recogniser. Then: at what rank among the fold's other people is the true face, by centred
cosine? "the voice itself": a map from the voice straight into that space, which all others approach as their identity
predicts more of the training faces. All maps from voices use the alpha that is best for dlib's identity alone. "the
true ...": of the same picture.

Then the colours: how much of their variance among faces the true identity explains (R² on held-out people), how much
the voice does, and how much the voice does of what the identity leaves. 95 % intervals by resampling people.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2f.dataset import Dataset
from ds2f.evaluation.bootstrap import Bootstrap, interval
from ds2f.io.images import decode_image
from ds2f.models.linear import LinearPrior, choose_alpha
from ds2f.training.pairs import folds
from face_encoder import places, seen_by
from judges.faceres import FaceRes
from whose import measures, one_way

FOLDS, DRAWS = 5, 2000
ALPHAS = tuple(float(a) for a in np.geomspace(1e-4, 1e2, 13))  # between faces; from voices, those of `models.linear`
SPACES = ("FaceRes", "MobileFaceNet")
COLOURS = ("skin colour", "hair colour")


@dataclass(frozen=True)
class People:
    """n faces. person: (n,) int; seen: {"dlib", spaces and colours: (n, d)}; voice: (n, 512), empty without."""

    person: np.ndarray
    seen: dict[str, np.ndarray]
    voice: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--faces", type=Path, required=True, metavar="DATABASE", help="of other people's faces")
    parser.add_argument("--judge", required=True, metavar="tflite:MobileFaceNet.tflite")
    parser.add_argument("--faceres", type=Path, required=True, metavar="faceres.json")
    parser.add_argument("--others", type=int, default=1200, help="of those people, the first (default: 1200)")
    parser.add_argument("--apart", action="store_true", help="what a face looks like is learnt of FACES alone")
    options = parser.parse_args()
    judge = FaceRes(options.faceres)
    with Dataset(options.database) as dataset:
        pairs = dataset.pairs()
        crops, voice = [pair.crop for pair in pairs], np.stack([pair.voice for pair in pairs])
        ours = looked_at(
            [pair.identity for pair in pairs], crops, [p.person for p in pairs], voice, options.judge, judge
        )
    with Dataset(options.faces) as dataset:
        rows = list({row.person: row for row in dataset.faces()}.values())[: options.others]
    nobody, people = np.zeros((len(rows), 0)), [str(row.person) for row in rows]
    others = looked_at([r.identity for r in rows], [r.crop for r in rows], people, nobody, options.judge, judge)
    part = folds(ours.person, FOLDS)
    print(f"{len(ours.person)} pairs of {len(set(ours.person))} people; {len(rows)} faces of other people\n")
    for space, second in (SPACES, SPACES[::-1]):
        print_space(space, second, ours, others, part, options.apart)
    print_colours(ours, others, part)


def looked_at(
    identities: list[np.ndarray],
    crops: list[bytes],
    names: list[str],
    voice: np.ndarray,
    judge: str,
    faceres: FaceRes,
) -> People:
    """identities: of n faces, from dlib; crops: WebP; names: of their people; voice: (n, d); judge, faceres: see the
    options."""
    pictures = np.stack([decode_image(crop) for crop in crops])
    found = measures(pictures, faceres)
    seen = {"dlib": np.stack(identities), "FaceRes": found["person"], **{name: found[name] for name in COLOURS}}
    seen["MobileFaceNet"] = seen_by(judge, list(pictures))
    return People(np.unique(names, return_inverse=True)[1], seen, voice)


def joined(faces: People, names: tuple[str, ...], like: People) -> np.ndarray:
    """Several descriptions concatenated, each scaled to the same variance over the faces `like`."""
    parts = [faces.seen[n] / np.sqrt(like.seen[n].var(0).sum()) for n in names]
    return np.hstack(parts).astype(np.float64)


def from_mean(values: np.ndarray) -> np.ndarray:
    """Corpora differ in light and framing, so each is centred by its own mean."""
    return np.asarray(values - values.mean(0))


def print_space(
    space: str,
    second: str,
    ours: People,
    others: People,
    part: np.ndarray,
    apart: bool,
) -> None:
    carried = {
        "dlib": ("dlib",),
        f"dlib, {second}": ("dlib", second),
        "dlib, skin, hair": ("dlib", *COLOURS),
        f"dlib, {second}, skin, hair": ("dlib", second, *COLOURS),
    }
    said = {name: np.zeros(len(part)) for name in (*carried, "the voice itself", "the true dlib", "the true both")}
    alpha = {  # of maps between faces, by people who are in no fold
        names: choose_alpha(joined(others, names, others), others.seen[space], others.person, ALPHAS)
        for names in carried.values()
    }
    for k in range(FOLDS):
        train, test = part != k, part == k
        of_voice = choose_alpha(ours.voice[train], ours.seen["dlib"][train], ours.person[train])
        known = np.zeros_like(train) if apart else train
        middle = ours.seen[space][train].mean(0)
        wanted = np.vstack([ours.seen[space][known] - middle, from_mean(others.seen[space])])
        true_faces = ours.seen[space][test] - middle, ours.person[test]
        for name, names in carried.items():
            mine, theirs = joined(ours, names, others), from_mean(joined(others, names, others))
            mine = mine - mine[train].mean(0)
            heard = LinearPrior.fit(ours.voice[train], mine[train], of_voice).predict(ours.voice[test])
            across = LinearPrior.fit(np.vstack([mine[known], theirs]), wanted, alpha[names])
            said[name][test] = places(across.predict(heard), *true_faces)
            if names in (("dlib",), ("dlib", second)):
                true = "the true dlib" if names == ("dlib",) else "the true both"
                said[true][test] = places(across.predict(mine[test]), *true_faces)
        straight = LinearPrior.fit(ours.voice[train], ours.seen[space][train] - middle, of_voice)
        said["the voice itself"][test] = places(straight.predict(ours.voice[test]), *true_faces)
    print(f"\nJudged by {space}, which no map from a voice has seen:\n")
    print("| carried | first tenth | median place | area | change of the area | of the first tenth |")
    print("| --- | --- | --- | --- | --- | --- |")
    draws = Bootstrap(ours.person.tolist(), DRAWS)
    for name, place in said.items():
        tenth, area = (place < 0.1).astype(float), 1 - place
        median = 100 * np.median(place)
        changes = [] if name == "dlib" else [area + said["dlib"] - 1, tenth - (said["dlib"] < 0.1)]
        moved = [f"{100 * c.mean():+.1f} [{shown(c, draws, '+.1f')}]" for c in changes] or ["", ""]
        cells = f"{100 * tenth.mean():.1f} % [{shown(tenth, draws)}] | {median:.1f} % | {100 * area.mean():.1f}"
        print(f"| {name} | {cells} [{shown(area, draws)}] | {' | '.join(moved)} |", flush=True)


def print_colours(ours: People, others: People, part: np.ndarray) -> None:
    draws = Bootstrap(ours.person.tolist(), DRAWS)
    several = np.isin(ours.person, np.flatnonzero(np.bincount(ours.person) > 1))
    print("\n| L, a, b together | with the person | the identity tells | the voice tells | the voice of what is left |")
    print("| --- | --- | --- | --- | --- |")
    for name in COLOURS:
        value, mean = ours.seen[name].astype(np.float64), np.zeros_like(ours.seen[name], np.float64)
        by = {kind: np.zeros_like(value) for kind in ("identity", "voice", "both")}
        for k in range(FOLDS):
            train, test = part != k, part == k
            mean[test] = value[train].mean(0)
            seen = ours.seen["dlib"] - ours.seen["dlib"][train].mean(0)
            faces = np.vstack([seen[train], from_mean(others.seen["dlib"])])
            wanted = np.vstack([from_mean(value[train]), from_mean(others.seen[name])])
            people = np.concatenate([ours.person[train], others.person + ours.person.max() + 1])
            identity = least_squares(faces, wanted, people)
            heard = least_squares(ours.voice[train], value[train], ours.person[train])
            told = value[train].mean(0) + identity.predict(seen)
            left = value - told
            more = least_squares(ours.voice[train], left[train], ours.person[train])
            by["identity"][test] = told[test]
            by["voice"][test] = heard.predict(ours.voice[test])
            by["both"][test] = by["identity"][test] + more.predict(ours.voice[test])
        lost = {kind: ((value - found) ** 2).sum(1) for kind, found in (("mean", mean), *by.items())}
        shares = [
            share(lost["identity"], lost["mean"], draws),
            share(lost["voice"], lost["mean"], draws),
            share(lost["both"], lost["identity"], draws),
        ]
        print(f"| {name} | {one_way(value[several], ours.person[several]):.2f} | {' | '.join(shares)} |", flush=True)


def least_squares(x: np.ndarray, y: np.ndarray, people: np.ndarray) -> LinearPrior:
    """With the alpha that gives the lowest squared error for a quarter of the people."""
    held = folds(np.unique(people, return_inverse=True)[1], 4) == 0
    errors = [
        ((LinearPrior.fit(x[~held], y[~held], a).predict(x[held]) - y[held]) ** 2).sum()
        for a in np.geomspace(1e-3, 1e4, 15)
    ]
    return LinearPrior.fit(x, y, float(np.geomspace(1e-3, 1e4, 15)[int(np.argmin(errors))]))


def shown(values: np.ndarray, draws: Bootstrap, form: str = ".1f") -> str:
    """The interval of the mean, in hundredths."""
    low, high = interval(draws.means(100 * values))
    return f"{low:{form}}, {high:{form}}"


def share(lost: np.ndarray, before: np.ndarray, draws: Bootstrap) -> str:
    """R²: one minus the remaining error relative to the error before."""
    low, high = interval(1 - draws.sums(lost) / draws.sums(before))
    return f"{1 - lost.sum() / before.sum():.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
