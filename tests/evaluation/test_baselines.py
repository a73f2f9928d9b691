"""Who answers for whom: references of other videos, donors of other people, faces given to other voices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ds2f.dataset.clips import ClipFacts
from ds2f.dataset.pairing import Shown
from ds2f.dataset.queries import Pair
from ds2f.evaluation.baselines import Answers, attributes_only, baselines, linear_prior, shuffled, together
from ds2f.evaluation.matching import linear
from ds2f.evaluation.subjects import Split, Subjects, TrueFaces, choose_true
from ds2f.models.linear import LinearPrior
from ds2f.types import FaceLabels
from people import ten_clips_each

RNG = np.random.default_rng(0)


def split(people: list[str], recordings: list[str], prefix: str = "") -> Split:
    n = len(people)
    vectors = RNG.normal(size=(n, 6))
    pairs = tuple(
        Pair(i, f"{prefix}{i}.mp4", "folder", prefix + person, "test", RNG.normal(size=4), vectors[i], b"", "", "")
        for i, person in enumerate(people)
    )
    labels = FaceLabels(RNG.uniform(20, 60, n), np.arange(n) % 2, np.zeros(n, int))
    facts = tuple(ClipFacts({}, "", recording) for recording in recordings)
    return Split(pairs, {"dlib": vectors, "other": 2 * vectors}, labels, facts)


@pytest.fixture
def subjects() -> Subjects:
    """Anna has three clips of two videos, Ben two of one, Cleo one."""
    measured = split(["anna", "anna", "anna", "ben", "ben", "cleo"], ["v", "v", "w", "x", "x", "y"])
    train = split([str(i) for i in range(40)], [str(i) for i in range(40)], "train")
    return Subjects(("dlib", "other"), measured, train, true_faces(measured), {}, "campplus-frames")


def true_faces(measured: Split) -> TrueFaces:
    recordings = [facts.recording for facts in measured.facts]
    faces: dict[str, list[Shown]] = {}
    for pair, recording in zip(measured.pairs, recordings, strict=True):
        faces.setdefault(pair.person, []).append(Shown(pair.video_id, pair.path, recording))
    chosen, apart = choose_true(measured.pairs, recordings, faces)
    files = [shown.file for shown in chosen]
    identities = {space: vectors[files] for space, vectors in measured.identities.items()}
    labels = FaceLabels(*(of[files] for of in (measured.labels.age, measured.labels.gender, measured.labels.ethnicity)))
    return TrueFaces(tuple(files), tuple(shown.path for shown in chosen), (), identities, labels, apart)


def test_voice_and_face_come_from_different_videos_where_they_can(subjects: Subjects) -> None:
    assert subjects.true.files == (2, 2, 0, 3, 4, 5)
    assert subjects.true.apart.tolist() == [True, True, True, False, False, False]


def test_a_voice_asks_for_any_face_of_its_person_but_of_its_own_recording() -> None:
    """Anna has a video and two pictures; Ben's voices are sounds, one of a video that shows him."""
    pairs = split(["anna", "ben", "ben"], ["v", "w", "x"]).pairs
    pairs = (pairs[0], replace(pairs[1], face_id=20), replace(pairs[2], face_id=21))
    faces = {
        "anna": [Shown(0, "0.mp4", "v"), Shown(10, "a.jpg", "a"), Shown(11, "b.jpg", "b")],
        "ben": [Shown(20, "c.jpg", "c"), Shown(21, "w.mp4", "x")],
    }
    chosen, apart = choose_true(pairs, ["v", "w", "x"], faces)
    assert [shown.file for shown in chosen] == [10, 20, 20]
    assert apart.all()
    chosen, apart = choose_true(pairs[:1], ["v"], {"anna": faces["anna"][:1]})
    assert ([shown.file for shown in chosen], apart.tolist()) == ([0], [False])


def test_no_baseline_answers_with_a_face_of_the_gallery(subjects: Subjects) -> None:
    gallery = {vector.tobytes() for vector in subjects.measured.identities["dlib"]}
    found = {answers.name: answers for answers in baselines(subjects)}
    assert list(found) == [
        "mean face",
        "linear prior",
        "nearest voice",
        "attributes only",
        "random face",
        "random face of the right gender",
        "another photo",
    ]
    for name, answers in found.items():
        if name != "another photo":
            assert not gallery & {vector.tobytes() for vector in answers.vectors["dlib"]}
            assert answers.clips.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_ceiling_is_of_the_person_but_not_the_true_face(subjects: Subjects) -> None:
    ceiling = baselines(subjects)[-1]
    assert ceiling.clips.tolist() == [0, 1, 2]
    for clip, vector in zip(ceiling.clips, ceiling.vectors["dlib"], strict=True):
        assert not np.array_equal(vector, subjects.truth("dlib")[clip])
        assert any(np.array_equal(vector, own) for own in subjects.measured.identities["dlib"][:3])


def test_the_same_people_answer_in_every_space(subjects: Subjects) -> None:
    for answers in baselines(subjects):
        if answers.name != "linear prior":  # fitted anew
            np.testing.assert_allclose(answers.vectors["other"], 2 * answers.vectors["dlib"])


def test_the_linear_map_is_fitted_on_people_left_out_and_not_on_clips() -> None:
    """Both where it answers with a vector and where it matches voices and faces; ten clips of each person."""
    voice, identity, person = ten_clips_each(1)
    known = person < 60

    def rows(of: np.ndarray, prefix: str) -> Split:
        nothing = [ClipFacts({}, "", "")] * int(of.sum())
        pairs = tuple(
            Pair(i, "", "folder", f"{prefix}{p}", "", v, x, b"", "", "")
            for i, (p, v, x) in enumerate(zip(person[of], voice[of], identity[of], strict=True))
        )
        unknown = np.full(len(pairs), -1)
        return Split(pairs, {"dlib": identity[of]}, FaceLabels(unknown + np.nan, unknown, unknown), tuple(nothing))

    measured, train = rows(~known, "test"), rows(known, "train")
    subjects = Subjects(("dlib",), measured, train, true_faces(measured), {}, "campplus-frames")
    best = LinearPrior.fit_to_people(voice[known], identity[known], person[known]).predict(voice[~known])
    by_clip = LinearPrior.fit_to_people(voice[known], identity[known], np.arange(600)).predict(voice[~known])
    assert not np.allclose(best, by_clip, atol=0.1)
    np.testing.assert_allclose(linear_prior(subjects, train).vectors["dlib"], best, atol=1e-4)
    direction, true = (x - identity[known].mean(0) for x in (best, identity[~known]))
    cosines = direction @ true.T / np.linalg.norm(direction, axis=1)[:, None] / np.linalg.norm(true, axis=1)
    np.testing.assert_allclose(linear(subjects, np.arange(200)), cosines, atol=1e-4)


def test_the_right_gender_is_right(subjects: Subjects) -> None:
    assert subjects.train is not None
    found = next(a for a in baselines(subjects) if a.name.endswith("right gender"))
    donors = [np.flatnonzero((subjects.train.identities["dlib"] == v).all(1))[0] for v in found.vectors["dlib"]]
    np.testing.assert_array_equal(subjects.train.labels.gender[donors], subjects.labels.gender)


def test_attributes_only_is_a_mean_of_people_alike(subjects: Subjects) -> None:
    assert subjects.train is not None
    vector = attributes_only(subjects, subjects.train).vectors["dlib"][0]
    decade = subjects.train.labels.age // 10 == subjects.labels.age[0] // 10
    alike = decade & (subjects.train.labels.gender == subjects.labels.gender[0])
    assert alike.sum() >= 3
    np.testing.assert_allclose(vector, subjects.train.identities["dlib"][alike].mean(0))


def test_shuffled_faces_are_given_to_other_people(subjects: Subjects) -> None:
    clips = np.array([0, 1, 2, 3, 4, 5, 5])
    answers = Answers("ours", "images", "folder", clips, {"dlib": np.arange(7.0)[:, None]}, files=(None,) * 7)
    people = np.array(subjects.measured.people)
    for seed in range(20):
        given = shuffled(answers, subjects, seed)
        assert (people[given.clips] != people[clips]).all()
        assert given.clips[5] == given.clips[6]
        assert len(set(given.clips)) == 6
        assert (given.name, given.kind) == ("ours, voices shuffled", "control")


def test_pictures_of_a_voice_together_are_their_mean_direction() -> None:
    east, north, nothing = [2.0, 0.0], [0.0, 1.0], [np.nan, np.nan]
    vectors = {"dlib": np.array([east, north, north, nothing, nothing])}
    mean = together(Answers("ours", "images", "folder", np.array([0, 0, 3, 3, 4]), vectors, real=True))
    assert mean is not None
    assert mean.clips.tolist() == [0, 3, 4]
    unit = mean.vectors["dlib"] / np.linalg.norm(mean.vectors["dlib"], axis=1, keepdims=True)
    np.testing.assert_allclose(unit, [[0.5**0.5, 0.5**0.5], [0, 1], nothing], err_msg="a long vector says no more")
    assert (mean.kind, mean.real) == ("together", False)
    alone = Answers("ours", "images", "folder", np.arange(5), vectors)
    assert together(alone) is None


@pytest.mark.filterwarnings("error")
def test_pictures_without_any_face_are_without_one_together() -> None:
    faceless = Answers("ours", "images", "folder", np.array([0, 0, 3, 3]), {"dlib": np.full((4, 2), np.nan)})
    mean = together(faceless)
    assert mean is not None
    assert np.isnan(mean.vectors["dlib"]).all()


def test_without_train_there_is_still_a_random_face(subjects: Subjects) -> None:
    alone = Subjects(subjects.spaces, subjects.measured, None, subjects.true, {}, subjects.voice)
    assert [a.name for a in baselines(alone)] == ["random face", "random face of the right gender", "another photo"]
