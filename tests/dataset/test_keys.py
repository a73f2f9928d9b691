"""What the pictures of a clip are called, when roots and endings leave it open."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.keys import FileKey, picture_stems
from ds2f.dataset.splits import SplitRule
from helpers import item

ONE, TWO = "/data/one/videos", "/data/two/videos"


@pytest.mark.parametrize(
    ("files", "stems"),
    [
        ([FileKey(ONE, "a/b.mp4"), FileKey(TWO, "a/c.mp4")], ["a/b", "a/c"]),
        ([FileKey(ONE, "a/b.mp4"), FileKey(ONE, "a/b.mkv")], ["a/b.mp4", "a/b.mkv"]),
        ([FileKey(ONE, "a/b.mp4"), FileKey(TWO, "a/b.mp4")], ["one/videos/a/b", "two/videos/a/b"]),
        ([FileKey("/x/vox", "b.mp4"), FileKey("/x/avs", "b.mp4")], ["vox/b", "avs/b"]),
        ([FileKey("/", "b.mp4"), FileKey("/root", "b.mp4")], ["root/b", "root/root/b"]),
        (
            [FileKey(ONE, "b.mp4"), FileKey(TWO, "b.mp4"), FileKey(TWO, "b.mkv")],
            ["one/videos/b.mp4", "two/videos/b.mp4", "two/videos/b.mkv"],
        ),
        # A folder that is called as the other root: all names are long then, and none is shared.
        (
            [FileKey("/x/vox", "b.mp4"), FileKey("/x/avs", "b.mp4"), FileKey("/x/avs", "vox/b.mp4")],
            ["vox/b.mp4", "avs/b.mp4", "avs/vox/b.mp4"],
        ),
        # Of a tar that was packed on Linux; what Windows refuses, and what it takes for one name.
        ([FileKey(ONE, "aux/12:30.mp4"), FileKey(ONE, "b..mp4")], ["aux_/12_30", "b_"]),
        (
            [FileKey(ONE, "a/B.mp4"), FileKey(ONE, "a/b.mp4"), FileKey(ONE, "a/c:d.mp4"), FileKey(ONE, "a/c_d.mp4")],
            ["a/B", "a/b~2", "a/c_d", "a/c_d~2"],
        ),
    ],
)
def test_every_clip_has_a_name_of_its_own(files: list[FileKey], stems: list[str]) -> None:
    assert [picture_stems(files)[key] for key in files] == stems
    assert picture_stems(reversed(files)) == picture_stems(files)


def test_the_dataset_names_its_recordings(dataset: Dataset) -> None:
    for root in (ONE, TWO):
        dataset.add_items(Path(root), "video", [item("a/b.mp4", "ada"), item(f"a/{root[6:9]}.mp4", "ada")], SplitRule())
    assert dataset.picture_stems() == {
        FileKey(ONE, "a/b.mp4"): "one/videos/a/b",
        FileKey(ONE, "a/one.mp4"): "a/one",
        FileKey(TWO, "a/b.mp4"): "two/videos/a/b",
        FileKey(TWO, "a/two.mp4"): "a/two",
    }
