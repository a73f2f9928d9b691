"""Whose picture is this file, and what is seen in it?"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2f.cli import generate
from ds2f.dataset.queries import Pair
from ds2f.errors import ItemError, UserError
from ds2f.evaluation.embed import SHEET, Embed, embed_in_workers, find_pictures, unused_pictures


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


@pytest.mark.skipif(sys.platform == "win32", reason="no folder there is called so")
def test_pictures_of_other_programs_are_called_as_the_clip_is(tmp_path: Path) -> None:
    """Ours leave out what Windows refuses, such as the dot at the end of a name."""
    clips = [replace(pair(f"John_Jr_/{n}"), path=f"John_Jr./{n}.mp4") for n in (1, 2)]
    for name in ("John_Jr./1.png", "John_Jr./2.png", "John_Jr_/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_pictures(tmp_path, clips) == [[tmp_path / "John_Jr./1.png"], [tmp_path / "John_Jr_/2.png"]]


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "someone.png").touch()
    with pytest.raises(UserError, match=r"such as .*one/clip\.png"):
        find_pictures(tmp_path, [pair("one/clip")])


def test_pictures_of_no_clip_are_listed(tmp_path: Path) -> None:
    """Not those of clips in another split, nor what else lies there; but a duplicate, and one behind a gap."""
    listed = ["a/one-3.png", "a/two.webp", "a/typo.PNG", "one.png"]
    fine = ["a/one-0.png", "a/one-1.png", "a/two.jpg", "train/clip.png", "train/clip-0.png", "train/clip-1.webp"]
    for name in [*listed, *fine, SHEET, "._one.png", "generation.json", "notes.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    clips = [pair("a/one"), pair("a/two")]
    assert unused_pictures(tmp_path, clips, ["a/one", "a/two", "train/clip"]) == sorted(listed)
    assert generate.SHEET == SHEET


def make_measure() -> Embed:
    """Sees the length of a file; nobody in an empty one, and the end of the process in one of a single byte."""

    def measure(path: Path) -> dict[str, np.ndarray]:
        size = path.stat().st_size
        if size == 0:
            raise ItemError("face", "no face found")
        if size == 1:
            os._exit(1)
        return {"dlib": np.full(3, size)}

    return measure


def make_nothing() -> Embed:
    raise UserError("There are no weights.")


def test_pictures_are_looked_at_in_processes(tmp_path: Path) -> None:
    files = [tmp_path / f"{size}.png" for size in (0, 5, 9)]
    for file in files:
        file.write_bytes(b"x" * int(file.stem))
    told: list[int] = []
    embed = embed_in_workers(files, make_measure, 2, lambda: told.append(1))
    assert len(told) == len(files)
    assert [embed(file)["dlib"].tolist() for file in files[1:]] == [[5, 5, 5], [9, 9, 9]]
    with pytest.raises(ItemError, match="no face found"):
        embed(files[0])
    with pytest.raises(UserError, match="There are no weights"):
        embed_in_workers(files, make_nothing, 1, lambda: None)
    files[0].write_bytes(b"x")
    with pytest.raises(UserError, match="fewer --workers"):
        embed_in_workers(files, make_measure, 1, lambda: None)
