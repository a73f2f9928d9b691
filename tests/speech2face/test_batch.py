from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from ds2f.demo import samples
from ds2f.errors import ItemError, UserError
from ds2f.speech2face.face import Faces, FacesOfVoices
from ds2f.speech2face.model import Speech2Face
from ds2f.voice.encode import Recording

ONE, OTHER = (samples() / f"person-{n}.mp4" for n in (1, 2))


@pytest.fixture(scope="module")
def model() -> Speech2Face:
    return Speech2Face.from_pretrained(device="cpu", size=64)


@pytest.mark.parametrize("one", [ONE, str(ONE), b"RIFF"])
def test_a_single_recording_is_no_batch(model: Speech2Face, one: Recording) -> None:
    with pytest.raises(UserError, match=r"give a single one as \[recording\]"):
        next(model.batch(one))  # type: ignore[arg-type]


def test_faces_can_be_pickled_and_the_key_that_signs_them_is_not_in_it(model: Speech2Face) -> None:
    (face,) = model(ONE, count=1)
    stored = pickle.dumps(face)
    assert b"PRIVATE KEY" not in stored
    again = pickle.loads(stored)  # noqa: S301 - just made
    assert again.signer is face.signer
    assert again.seed == face.seed
    assert np.array_equal(np.asarray(again.image), np.asarray(face.image))


def test_a_stream_without_an_end_gives_the_same_faces_as_calls(
    model: Speech2Face, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[Recording] = []

    def stream() -> Iterator[Recording]:
        for recording in itertools.cycle([ONE, OTHER]):
            asked.append(recording)
            yield recording

    found = model.batch(stream(), count=8, seed=3)
    first, second = next(found), next(found)
    assert len(asked) == 2, "no more than are drawn together"
    for faces, recording in ((first, ONE), (second, OTHER)):
        assert [face.seed for face in faces] == list(range(3, 11))
        alone = model(recording, count=1, seed=4)[0]
        difference = np.asarray(faces[1].image, float) - np.asarray(alone.image, float)
        assert np.abs(difference).max() <= 1, "rounding"
    assert capfd.readouterr() == ("", ""), "a bar is for people, not for a file"


def test_what_cannot_be_used_costs_its_own_faces(model: Speech2Face) -> None:
    refused: list[tuple[Recording, str]] = []
    three = [ONE, b"no recording", OTHER]
    found = list(model.batch(three, 1, progress=False, refused=lambda one, error: refused.append((one, error.reason))))
    assert [len(faces) for faces in found] == [1, 0, 1]
    assert [one for one, _ in refused] == [b"no recording"]
    with pytest.raises(ItemError):
        list(model.batch(three, 1, progress=False))


def test_a_callback_sees_every_step_and_may_end_it(model: Speech2Face) -> None:
    seen: list[tuple[int, np.ndarray]] = []
    (face,) = model(ONE, count=1, callback=lambda step, pictures: seen.append((step, pictures)))
    assert [step for step, _ in seen] == list(range(1, model.steps() + 1))
    assert {pictures.shape for _, pictures in seen} == {(1, 64, 64, 3)}
    last, first = (np.abs(pictures[0] - np.asarray(face.image, float)).mean() for _, pictures in (seen[-1], seen[0]))
    assert last < first
    assert last < 2, "the last one is nearly the face"

    def enough(step: int, pictures: np.ndarray) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model(ONE, count=1, callback=enough)


def test_steps_are_counted_over_batches(model: Speech2Face) -> None:
    assert model.steps(faces=17) == 2 * model.steps(faces=16)


def test_notebooks_show_faces_and_descriptions(model: Speech2Face) -> None:
    faces = model([ONE, OTHER], count=1)
    assert isinstance(faces, FacesOfVoices)
    assert isinstance(faces[0], Faces)
    assert faces[0][0]._repr_png_().startswith(b"\x89PNG")
    assert faces._repr_html_().count("data:image/png;base64,") == 2
    assert f"seed 0, model {model.fingerprint}" in repr(faces[0][0])
    described = model.describe(ONE)
    html = described._repr_html_()
    assert "<td style='text-align:right'>female</td>" in html
    assert all(line.split(None, 1)[1] in html for line in str(described).splitlines())
