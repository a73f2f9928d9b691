"""dlib's network in PyTorch against dlib's own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ds2f.face.dlib_resnet import DlibOwn, DlibResNet, network_file
from ds2f.face.dlib_torch import CHIP, DlibTorch, chip_of_crop, load_dlib
from ds2f.types import DetectedFace


@pytest.fixture(scope="module")
def network() -> DlibTorch:
    return load_dlib(network_file())


def blobs(count: int, size: int = CHIP) -> np.ndarray:
    """Smooth pictures of full contrast: (count, size, size, 3) uint8."""
    rng = np.random.default_rng(0)
    noise = [cv2.GaussianBlur(rng.random((size, size, 3)), (0, 0), size / 30) for _ in range(count)]
    return np.stack([cv2.normalize(n, None, 0, 255, cv2.NORM_MINMAX) for n in noise]).astype(np.uint8)


def pixels(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_it_gives_the_numbers_of_dlib(network: DlibTorch) -> None:
    import dlib

    chips = blobs(3)
    wanted = np.array(dlib.face_recognition_model_v1(network_file()).compute_face_descriptor(list(chips)))
    assert wanted.std() > 0.05
    np.testing.assert_allclose(network(pixels(chips)).numpy(), wanted, atol=2e-6)


def test_with_and_without_pytorch_a_face_has_one_vector() -> None:
    picture = blobs(1, 300)[0]
    faces = [DetectedFace((x, 90, 120, 120), np.zeros((5, 2), np.float32), 1.0) for x in (60, 100)]
    ours, theirs = DlibResNet().embed([picture] * 2, faces), DlibOwn().embed([picture] * 2, faces)
    assert np.abs(ours[0] - ours[1]).max() > 0.01
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    assert DlibOwn().embed([], []).shape == (0, 128)


def test_it_is_differentiable_down_to_the_pixels(network: DlibTorch) -> None:
    faces = pixels(blobs(1, 64)).requires_grad_()
    network(chip_of_crop(faces)).square().sum().backward()
    assert faces.grad is not None
    assert faces.grad.abs().max() > 0
    assert all(p.grad is None for p in network.parameters())


def test_the_chip_is_the_middle_of_the_crop() -> None:
    """A crop whose red is x and whose green is y, both in [-1, 1]: the chip's corners tell what was cut."""
    ramp = torch.linspace(-1, 1, 201)
    crop = torch.stack([ramp.expand(201, 201), ramp[:, None].expand(201, 201), torch.zeros(201, 201)])[None]
    chip = chip_of_crop(crop)
    assert chip.shape == (1, 3, CHIP, CHIP)
    corner, other = chip[0, :2, 0, 0], chip[0, :2, -1, -1]
    torch.testing.assert_close((corner + other) / 2, torch.tensor([2 * 0.4915 - 1, 2 * 0.5625 - 1]), atol=0.01, rtol=0)
    torch.testing.assert_close(other - corner, torch.tensor([1.421, 1.421]), atol=0.03, rtol=0)


def test_a_vector_does_not_depend_on_its_neighbours() -> None:
    embedder, images = DlibResNet(), list(blobs(3, 200))
    face = DetectedFace((40, 40, 120, 120), np.zeros((5, 2), np.float32), 1.0)
    together = embedder.embed(images, [face] * 3)
    alone = np.concatenate([embedder.embed([image], [face]) for image in images])
    assert together.shape == (3, 128)
    np.testing.assert_array_equal(together, alone)
    assert embedder.embed([], []).shape == (0, 128)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.dat").write_bytes(b"not a network")
    with pytest.raises(ValueError, match="not dlib's"):
        load_dlib(tmp_path / "other.dat")
