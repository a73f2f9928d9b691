from __future__ import annotations

import numpy as np
import pytest

from ds2f.errors import UserError
from ds2f.speech2face.upscale import larger


def test_a_larger_picture_shows_the_same() -> None:
    ramp = np.linspace(40, 200, 12, dtype=np.float32)
    small = np.stack(np.broadcast_arrays(ramp, ramp[:, None], np.float32(90)), 2).astype(np.uint8)
    assert larger(small, 1) is small
    four, two = larger(small, 4), larger(small, 2)
    assert (four.shape, four.dtype, two.shape) == ((48, 48, 3), np.uint8, (24, 24, 3))
    for picture, times in ((four, 4), (two, 2)):
        shrunk = picture.reshape(12, times, 12, times, 3).mean((1, 3))
        assert np.abs(shrunk - small).mean() < 8


def test_what_cannot_be() -> None:
    with pytest.raises(UserError, match="by 2 or 4, not by 3"):
        larger(np.zeros((8, 8, 3), np.uint8), 3)
