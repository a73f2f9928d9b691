"""What neighbouring patches share is taken out; edges, colours and what they do not share stay."""

from __future__ import annotations

import numpy as np

from ds2f.speech2face.patch_artifacts import remove_patch_artifacts

SIZE, PATCH = 64, 8


def smooth() -> np.ndarray:
    """(size, size, 3) float: light that falls off, no texture."""
    return np.linspace((90, 100, 110), (150, 140, 130), SIZE)[None] + np.linspace(0, 30, SIZE)[:, None, None]


def uint8(pixels: np.ndarray) -> np.ndarray:
    return pixels.round().astype(np.uint8)[None]


def test_a_weave_goes_and_a_picture_without_one_stays() -> None:
    waves = 2 * np.cos(np.pi * np.arange(SIZE) / 2)
    woven, plain = uint8(smooth() + (waves + waves[:, None])[..., None]), uint8(smooth())
    inner = np.s_[:, PATCH:-PATCH, PATCH:-PATCH]
    off = [np.abs(one.astype(float) - plain)[inner].mean() for one in (woven, remove_patch_artifacts(woven, PATCH))]
    assert off[1] < 0.35 * off[0]
    assert np.abs(remove_patch_artifacts(plain, PATCH).astype(float) - plain).max() <= 1


def test_an_edge_stays() -> None:
    picture = smooth()
    picture[:, SIZE // 2 + 3 :] -= 80
    assert np.abs(remove_patch_artifacts(uint8(picture), PATCH).astype(float) - uint8(picture)).max() <= 3


def test_a_picture_is_the_same_alone_and_among_others() -> None:
    some = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    assert np.array_equal(remove_patch_artifacts(some, PATCH)[1:2], remove_patch_artifacts(some[1:2], PATCH))
