"""The loss that asks dlib whether a drawn face is the person it was told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ds2f.demo import samples
from ds2f.face.align import canonical_crop
from ds2f.face.mtcnn import MTCNN
from ds2f.io.media import decode
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.training.decoder import DecoderTask
from ds2f.training.faces import FaceData
from ds2f.training.likeness import Likeness, View


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    """(8, 3, 64, 64) uint8 of the synthetic people of the demo."""
    frames = [decode(path, frames=1).frames[0].image for path in sorted(samples().glob("*.mp4"))]
    detector = MTCNN()
    crops = [canonical_crop(frame, detector.detect(frame)[0].landmarks, 64) for frame in frames]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def likeness(faces: torch.Tensor) -> Likeness:
    judge = Likeness(torch.zeros(128))
    judge.mean.copy_(judge.vectors(faces / 127.5 - 1).mean(0))
    return judge


def test_a_face_is_like_itself_and_unlike_others(faces: torch.Tensor, likeness: Likeness) -> None:
    pixels = faces / 127.5 - 1
    identity = likeness.vectors(pixels)
    torch.testing.assert_close(likeness(pixels, identity), torch.ones(len(faces)))
    assert likeness(pixels, identity.roll(1, 0)).mean() < 0.3
    assert likeness(pixels + 0.05, identity).min() > 0.8  # a little more light changes nobody


def test_in_training_a_face_is_seen_beside_its_place_and_mirrored_and_is_like_itself_still(
    faces: torch.Tensor, likeness: Likeness
) -> None:
    pixels = faces / 127.5 - 1
    identity = likeness.vectors(pixels)
    seen = [likeness(pixels, identity, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(seen[0], seen[1])
    assert not torch.allclose(seen[0], seen[2])
    assert seen[0].mean() > 0.7
    beside = likeness.vectors(pixels, View(shift=torch.tensor([[2 / 64, 3 / 64]]).expand(len(faces), 2)))
    moved = likeness.vectors(pixels.roll((-3, -2), (2, 3)))  # the chip leaves more than that of the crop aside
    torch.testing.assert_close(beside, moved, atol=1e-4, rtol=0)


def test_climbing_its_slope_makes_a_face_look_like_another(faces: torch.Tensor, likeness: Likeness) -> None:
    pixels = (faces[:1] / 127.5 - 1).requires_grad_()
    target = likeness.vectors(faces[1:2] / 127.5 - 1)
    before = float(likeness(pixels, target))
    (slope,) = torch.autograd.grad(likeness(pixels, target).sum(), pixels)
    assert float(likeness(pixels.detach() + 0.02 * slope.sign(), target)) > before + 0.05


def test_the_decoder_is_charged_for_unlike_faces_that_were_told(faces: torch.Tensor, likeness: Likeness) -> None:
    identity = likeness.vectors(faces / 127.5 - 1)
    told = {"identity": Condition.of(identity), "coverage": Condition.of(torch.ones(len(faces), 1))}
    data = FaceData(faces, told)
    torch.manual_seed(0)
    model = Decoder(DecoderConfig(size=64, patch=8, width=64, depth=1, heads=1, refine=4))
    rows = torch.arange(len(faces))

    def loss(weight: float) -> float:
        task = DecoderTask(model, data, data, torch.device("cpu"), weight)
        return float(task.loss(rows, torch.Generator().manual_seed(0)))

    plain, charged = loss(0.0), loss(0.5)
    assert charged > plain + 0.01
    assert loss(1.0) - plain == pytest.approx(2 * (charged - plain), rel=1e-3)
