"""Speech2Face with the model that ships: deterministic, independent rows, voices that matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ds2f.demo.run import samples
from ds2f.errors import ItemError, UserError
from ds2f.models.prior import Prior, PriorConfig
from ds2f.pipeline import Settings, Speech2Face
from helpers import silence, tiny_decoder, write_audio

QUICK = Settings(steps=4)


@pytest.fixture(scope="module")
def model() -> Speech2Face:
    return Speech2Face.load(None, "cpu")


@pytest.fixture(scope="module")
def voices(model: Speech2Face) -> np.ndarray:
    return np.stack([model.listen(path) for path in sorted(samples().glob("*.mp4"))])


def test_a_face_depends_on_its_seed_and_not_on_its_neighbours(model: Speech2Face, voices: np.ndarray) -> None:
    three = model.generate(voices[0], count=3, seed=5, settings=QUICK)
    alone = model.generate(voices[0], count=1, seed=6, settings=QUICK)[0]
    assert [face.seed for face in three] == [5, 6, 7]
    assert three[0].image.shape == (model.size, model.size, 3)
    np.testing.assert_allclose(three[1].identity, alone.identity, atol=1e-5)
    assert np.abs(three[1].image.astype(int) - alone.image.astype(int)).max() <= 2
    assert np.abs(three[0].image.astype(int) - alone.image.astype(int)).mean() > 3


def test_another_voice_gives_another_face(model: Speech2Face, voices: np.ndarray) -> None:
    faces = [model.generate(voice, 1, 0, Settings(steps=4, temperature=0.0))[0] for voice in voices]
    distances = [np.linalg.norm(a.identity - b.identity) for a in faces for b in faces if a is not b]
    assert min(distances) > 0.02
    assert max(distances) > 0.2
    low, high = faces[0].image.astype(int), faces[-1].image.astype(int)
    assert np.abs(low - high).mean() > 3


def test_temperature_zero_leaves_no_variety_in_the_identity(model: Speech2Face, voices: np.ndarray) -> None:
    typical = model.identities(np.repeat(voices[:1], 4, 0), [1, 2, 3, 4], temperature=0.0)
    varied = model.identities(np.repeat(voices[:1], 4, 0), [1, 2, 3, 4], temperature=1.0)
    assert typical.std(0).max() < 1e-5
    assert varied.std(0).mean() > 0.01


def test_progress_counts_all_steps(model: Speech2Face) -> None:
    seen: list[tuple[int, int]] = []
    model.draw(None, list(range(17)), Settings(steps=2), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_silence_is_refused(model: Speech2Face, tmp_path: object) -> None:
    with pytest.raises(ItemError, match="silence"):
        model.listen(write_audio(tmp_path / "s.wav", silence(2)))  # type: ignore[operator]


def test_a_prior_and_a_decoder_of_different_identities_are_refused(model: Speech2Face) -> None:
    prior = Prior(PriorConfig(identity_dim=64, width=16, depth=1))
    with pytest.raises(UserError, match="not made for each other"):
        Speech2Face(prior, tiny_decoder(), model.folder, torch.device("cpu"))
