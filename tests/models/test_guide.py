from __future__ import annotations

import pytest
import torch

from ds2f.models.guide import DEGRADATIONS, random_guides


def _picture(size: int) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("size", [64, 128])
def test_degradations_keep_shape_and_brightness_and_lose_more_at_a_higher_level(name: str, size: int) -> None:
    image = _picture(size)
    mild, strong = (DEGRADATIONS[name](image, level) for level in (0.0, 1.0))
    assert mild.shape == strong.shape == image.shape
    assert float(strong.mean()) == pytest.approx(float(image.mean()), abs=0.02)
    assert image.std() > mild.std() > strong.std()


def test_pixelation_has_as_many_blocks_as_it_says() -> None:
    blocks = DEGRADATIONS["pixelate"](_picture(128), 1.0)
    steps = (blocks[0, 0, 0].diff().abs() > 1e-6).sum()
    assert int(steps) == 7, "eight blocks across have seven borders"


def test_blurs_leave_a_flat_picture_as_it_is() -> None:
    flat = torch.full((1, 3, 64, 64), 0.7)
    for degrade in DEGRADATIONS.values():
        torch.testing.assert_close(degrade(flat, 0.5), flat)


def test_a_box_blur_is_the_mean_of_a_square() -> None:
    picture = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    blurred = DEGRADATIONS["box"](picture, 0.0)
    torch.testing.assert_close(blurred[0, :, 60, 70], picture[0, :, 56:65, 66:75].mean((1, 2)))
    repeated = torch.nn.functional.pad(picture, (4,) * 4, mode="replicate")
    torch.testing.assert_close(blurred[0, :, 0, 0], repeated[0, :, :9, :9].mean((1, 2)))


def test_random_guides_follow_their_generator_alone() -> None:
    image = _picture(64).repeat(8, 1, 1, 1)
    one, two, three = (
        random_guides(image, torch.zeros(3, 64, 64), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    torch.testing.assert_close(one, two)
    assert not torch.equal(one, three)


def test_the_mean_face_is_spoilt_along_with_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is learnt from is what comes of a spoilt picture from elsewhere once the mean face is taken off it."""
    monkeypatch.setattr("ds2f.models.guide.MAX_NOISE", 0.0)
    monkeypatch.setattr("ds2f.models.guide.DEGRADATIONS", {"box": DEGRADATIONS["box"]})
    picture, mean = _picture(64)[:1], _picture(64)[1]
    monkeypatch.setattr("ds2f.models.guide.uniform", lambda generator, *shape, to=None: torch.full(shape, 0.3))
    guides = random_guides(picture - mean, mean, torch.Generator().manual_seed(0))
    torch.testing.assert_close(guides, DEGRADATIONS["box"](picture, 0.3) - mean)
