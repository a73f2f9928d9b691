"""A contact sheet: one row per clip, the true face first, then the generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ds2f.errors import UserError
from ds2f.io.credentials import Signer
from ds2f.io.extras import installed
from ds2f.io.files import replacing
from ds2f.io.images import COMPOSITE, encode_face

CELL, GAP, MARGIN = 192, 12, 28  # pixels
LABEL_WIDTH = 190
MOST = 400  # rows; not every program shows a taller picture
INK, GREY, EMPTY = "#1d1d1f", "#6e6e76", "#f2f2f4"
NOTE = "Generated faces are imagined from the voice; they identify nobody."


@dataclass(frozen=True)
class SheetRow:
    """A row of the sheet. label: the text on the left; true: (height, width, 3) uint8 RGB, or None; generated: the
    same, any number."""

    label: str
    true: np.ndarray | None
    generated: Sequence[np.ndarray]

    @property
    def pictures(self) -> list[np.ndarray]:
        return [*([] if self.true is None else [self.true]), *self.generated]


def contact_sheet(rows: Sequence[SheetRow], out: Path, columns: Sequence[str], *, signer: Signer | None = None) -> None:
    """Draw the rows into a PNG at `out`, marked as a composite with generated faces and signed if there is a signer.
    columns: a heading for each picture column, starting with the true face's if there is one. The watermark of each
    drawn face is preserved.

    Raises UserError if `out` cannot be written.
    """
    heading, small = _font(15), _font(12)
    count = max([len(columns), *(len(row.pictures) for row in rows)])
    left, top = MARGIN + LABEL_WIDTH + GAP, MARGIN + 26
    width = left + count * (CELL + GAP) - GAP + MARGIN
    height = top + len(rows) * (CELL + GAP) + 22 + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for c, title in enumerate(columns):
        x = left + c * (CELL + GAP) + CELL // 2
        draw.text((x, MARGIN), _shortened(title, heading, CELL), INK, heading, anchor="ma")
    for r, row in enumerate(rows):
        y = top + r * (CELL + GAP)
        for line, text in enumerate(_lines(row.label, small, LABEL_WIDTH)):
            draw.text((MARGIN, y + 4 + 17 * line), text, GREY, small)
        for c, image in enumerate(row.pictures):
            sheet.paste(_cell(image), (left + c * (CELL + GAP), y))
        for c in range(len(row.pictures), count):
            x = left + c * (CELL + GAP)
            draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), EMPTY)
    draw.text((MARGIN, height - MARGIN - 14), NOTE, GREY, small)
    try:
        with replacing(out) as aside:
            aside.write_bytes(encode_face(sheet, {}, signer=signer, source=COMPOSITE))
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); choose another place.") from None


def _cell(image: np.ndarray) -> Image.Image:
    return ImageOps.fit(Image.fromarray(image), (CELL, CELL), Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans if matplotlib, which includes it, is installed: it has more letters than Pillow's own font."""
    if not installed("matplotlib"):
        own = ImageFont.load_default(size)
        assert isinstance(own, ImageFont.FreeTypeFont)  # every wheel of Pillow has FreeType
        return own
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, truncated with an ellipsis to fit `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _lines(text: str, font: ImageFont.FreeTypeFont, width: int, most: int = 4) -> list[str]:
    """The text in at most `most` lines of `width` pixels, broken anywhere, because paths have no spaces."""
    lines: list[str] = []
    while text and len(lines) < most - 1:
        cut = len(text)
        while font.getlength(text[:cut]) > width:
            cut -= 1
        newline = text[:cut].find("\n")
        cut = newline + 1 if newline >= 0 else cut
        lines.append(text[:cut].rstrip("\n"))
        text = text[cut:]
    return lines + ([_shortened(text.split("\n")[0], font, width)] if text else [])
