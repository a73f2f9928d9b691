"""The contact sheet of true and drawn faces side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ds2f.dataset import Dataset
from ds2f.evaluation.sheet import SheetRow, contact_sheet
from ds2f.io.credentials import Signing, signer_of
from ds2f.io.images import decode_image, read_image
from ds2f.io.media import decode
from ds2f.types import Source


def draw_sheet(database: Path, faces: Path, count: int, path: Path, limit: int = 12) -> Path:
    """Write the true face beside the generated ones, for clips of the test split. Returns `path`.

    database: the dataset.
    faces: folder filled by `generate_dataset`.
    count: faces drawn per clip.
    path: of the sheet.
    limit: maximum number of clips.
    """
    with Dataset(database) as dataset:
        pairs = dataset.pairs("test")[:limit]
    rows = []
    for pair in pairs:
        drawn = [read_image(Source(faces / f"{pair.picture}-{i}.png")) for i in range(count)]
        rows.append(SheetRow(pair.path, decode_image(pair.crop), drawn))
    return _written(rows, count, path)


def sheet_of_clips(clips: Sequence[Path], drawn: Sequence[Sequence[Path]], path: Path) -> Path:
    """A frame of each clip beside the faces drawn for its voice, the same number for each. Returns `path`."""
    rows = []
    for clip, faces in zip(clips, drawn, strict=True):
        frame = decode(clip, frames=1, sound=False).frames[0].image
        rows.append(SheetRow(clip.name, frame, [read_image(Source(face)) for face in faces]))
    return _written(rows, len(drawn[0]), path)


def _written(rows: Sequence[SheetRow], count: int, path: Path) -> Path:
    columns = ["true face", "most typical", *(f"imagined {i + 1}" for i in range(1, count))]
    contact_sheet(rows, path, columns, signer=signer_of(Signing()))
    return path
