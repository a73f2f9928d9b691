"""The contact sheet: pictures where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.evaluation.sheet import CELL, GAP, LABEL_WIDTH, MARGIN, SheetRow, contact_sheet
from ds2f.io import watermark
from ds2f.io.check import check_file
from ds2f.io.credentials import Signing, signer_of
from ds2f.io.media import decode

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def _plain(colour: tuple[int, int, int], height: int = 50, width: int = 40) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_pictures_stand_in_their_columns(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    long = "a/very/long/path/of/a/recording/" * 9 + ".mp4"
    rows = [
        SheetRow(long, _plain(RED), [_plain(GREEN), _plain(BLUE)]),
        SheetRow("b", _plain(BLUE), [_plain(RED)]),
    ]
    contact_sheet(rows, out, ["true", "ours", "a heading much too long for its column"])
    sheet = np.asarray(Image.open(out))
    left, top = MARGIN + LABEL_WIDTH + GAP, MARGIN + 26

    def seen(row: int, column: int) -> tuple[int, ...]:
        middle = sheet[top + row * (CELL + GAP) + CELL // 2, left + column * (CELL + GAP) + CELL // 2]
        return tuple(int(v) for v in middle)

    assert [seen(0, c) for c in range(3)] == [RED, GREEN, BLUE]
    assert [seen(1, c) for c in range(2)] == [BLUE, RED]
    assert min(seen(1, 2)) > 230  # nothing generated there
    assert (sheet[:MARGIN] == 255).all()
    assert (sheet[top : top + CELL, MARGIN + LABEL_WIDTH : left] == 255).all()  # a long label stays in its place


@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_sheet_carries_all_layers(size: int, tmp_path: Path) -> None:
    signer = signer_of(Signing())
    frame = Image.fromarray(decode(samples() / "person-1.mp4", frames=1, sound=False).frames[0].image)
    face = np.asarray(frame.resize((size, size)))
    marked = watermark.mark(face)
    rows = [SheetRow("a", None, [face] * 3 + [marked]), SheetRow("b", None, [face])]
    contact_sheet(rows, tmp_path / "sheet.png", ["imagined 1"], signer=signer)
    found = check_file(tmp_path / "sheet.png")
    assert found.layers == (("watermark", "c2pa", "xmp") if signer else ("watermark", "xmp"))
    assert found.verdict == "holds faces drawn by ds2f, as their watermark shows"
    assert any("compositeWithTrainedAlgorithmicMedia" in said for said in found.sentences())
    contact_sheet([SheetRow("a", None, [face] * 4)], tmp_path / "bare.png", ["imagined 1"])
    assert check_file(tmp_path / "bare.png").verdict == "says that it was drawn by ds2f"


def test_unwritable_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        contact_sheet([SheetRow("a", _plain(RED), [])], tmp_path / "nowhere" / "sheet.png", ["true"])
