"""Whose picture is this file?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2f.dataset.queries import Pair
from ds2f.errors import UserError
from ds2f.evaluation.embed import find_pictures


def pair(picture: str) -> Pair:
    nothing = np.zeros(1)
    return Pair(0, f"{picture}.mp4", "folder", "folder/ada", "test", nothing, nothing, b"", "/videos", picture)


@pytest.mark.parametrize(
    ("files", "of_clip", "of_clip_0"),
    [
        (["clip.png", "clip-0.png"], ["clip.png"], ["clip-0.png"]),
        (["clip-0.png", "clip-1.png", "clip-0-0.png"], ["clip-0.png", "clip-1.png"], ["clip-0-0.png"]),
        (["clip-0.png"], [], ["clip-0.png"]),
        (["clip-0.jpg", "clip-1.webp", "clip-3.png", "clip-0-0.png"], ["clip-0.jpg", "clip-1.webp"], ["clip-0-0.png"]),
    ],
)
def test_a_numbered_picture_is_never_that_of_two_clips(
    tmp_path: Path, files: list[str], of_clip: list[str], of_clip_0: list[str]
) -> None:
    """The clips are clip.mp4 and clip-0.mp4."""
    for name in files:
        (tmp_path / name).touch()
    found = find_pictures(tmp_path, [pair("clip"), pair("clip-0")])
    assert [[file.name for file in of_one] for of_one in found] == [of_clip, of_clip_0]


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "someone.png").touch()
    with pytest.raises(UserError, match=r"such as .*one/clip\.png"):
        find_pictures(tmp_path, [pair("one/clip")])
