from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from ds2f.demo.run import samples
from ds2f.face.align import canonical_crop
from ds2f.face.dlib_resnet import DlibResNet, network_file
from ds2f.face.dlib_torch import load_dlib
from ds2f.face.mtcnn import MTCNN
from ds2f.io.media import decode
from ds2f.speech2face.restore import ALIKE, GuideAligner, identities_of, weigh

RNG = np.random.default_rng(0)


def test_what_completions_agree_on_goes_before_the_voice_and_where_they_differ_it_stays() -> None:
    heard, shown = RNG.normal(size=(2, 4)), RNG.normal(size=4)
    sure = np.stack([np.tile(shown, (2, 1)) + 1e-6 * RNG.normal(size=(2, 4)) for _ in range(3)])
    unsure = np.stack([np.tile(shown, (2, 1)) + 1e3 * RNG.normal(size=(2, 4)) for _ in range(3)])
    assert_allclose(weigh(heard, sure, np.eye(4)), np.tile(shown, (2, 1)), atol=1e-4)
    assert_allclose(weigh(heard, unsure, np.eye(4)), heard, atol=1e-2)


def test_it_is_the_posterior_of_two_gaussians() -> None:
    """Against the textbook's form by precisions, for each row with its own variance."""
    heard, shown, colouring = RNG.normal(size=(5, 3)), RNG.normal(size=(4, 5, 3)), RNG.normal(size=(3, 3))
    found = weigh(heard, shown, colouring)
    prior = np.linalg.inv(colouring.T @ colouring)
    for i in range(5):
        precision = np.eye(3) / (ALIKE * shown[:, i].var(0, ddof=1).mean())
        expected = np.linalg.solve(prior + precision, prior @ heard[i] + precision @ shown[:, i].mean(0))
        assert_allclose(found[i], expected, rtol=1e-4)


def test_in_a_crop_is_seen_whom_dlib_sees_in_the_frame() -> None:
    detector, dlib = MTCNN(), DlibResNet()
    crops, true = [], []
    for path in sorted(samples().glob("*.mp4"))[:4]:
        frame = decode(path).frames[0].image
        face = detector.detect(frame)[0]
        crops.append(canonical_crop(frame, face.landmarks, 128))
        true.append(dlib.embed([frame], [face])[0])
    seen = identities_of(np.stack(crops), load_dlib(network_file()))
    apart = np.linalg.norm(seen[:, None] - np.stack(true), axis=2)
    assert (apart.argmin(1) == np.arange(4)).all()
    assert np.diagonal(apart).max() < 0.35


def test_a_guide_is_aligned_by_the_face_in_it() -> None:
    frame = decode(samples() / "person-1.mp4", frames=1).frames[0].image
    crop = canonical_crop(frame, MTCNN().detect(frame)[0].landmarks, 128)
    shifted = np.roll(np.pad(frame, ((40, 200), (200, 40), (0, 0)), mode="edge"), 7, 0)
    guides = {"frame": shifted, "crop": crop, "faceless": np.full((50, 90, 3), 128, np.uint8)}
    seen = {name: GuideAligner().align(guide, 64).astype(int) for name, guide in guides.items()}
    assert {guide.shape for guide in seen.values()} == {(64, 64, 3)}
    assert np.abs(seen["frame"] - seen["crop"]).mean() < 7
    assert np.abs(seen["faceless"] - seen["crop"]).mean() > 25
    assert (seen["faceless"] == 128).all(), "taken as it is"
