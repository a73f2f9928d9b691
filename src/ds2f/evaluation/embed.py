"""Identity vectors of a folder of pictures that some method drew, one for each clip of the split.

The picture of the clip `a/b.mp4` is `FOLDER/a/b.png` (or .jpg, .jpeg, .webp). It goes the same way as a real
face: the same detector, the same descriptor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2f.config import Audio, Faces
from ds2f.dataset.queries import Pair
from ds2f.errors import ItemError, UserError
from ds2f.media import read_image
from ds2f.types import Source

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

Embed = Callable[[Path], np.ndarray]
"""A picture file to its (d,) identity vector. Raises ItemError if it shows no usable face."""

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


@dataclass(frozen=True)
class FolderVectors:
    """vectors: (n, d) float64 in the order of the clips, NaN where there is no face; files: None where there
    is no picture; missing: clips without a picture; faceless: pictures without a usable face."""

    vectors: np.ndarray
    files: tuple[Path | None, ...]
    missing: int
    faceless: int


def dlib_embedder() -> Embed:
    """MTCNN and dlib, loaded once, as extraction uses them."""
    from ds2f.extract.item import Extractor
    from ds2f.extract.settings import Settings

    extractor = Extractor(Settings(Audio(), Faces()))
    return lambda path: extractor.still(read_image(Source(path)))[0].identity


def find_pictures(folder: Path, pairs: Sequence[Pair]) -> tuple[Path | None, ...]:
    """The picture of each clip. UserError without a folder, or without any picture."""
    if not folder.is_dir():
        raise UserError(f"There is no folder of pictures at {folder}; make it with ds2f generate, or give another.")
    files = tuple(_picture(folder, pair.path) for pair in pairs)
    if not any(files):
        wanted = folder / Path(pairs[0].path).with_suffix(".png")
        raise UserError(
            f"No picture in {folder} belongs to any of the {len(pairs)} clips; a picture must have the "
            f"path of its clip with another ending, such as {wanted}."
        )
    return files


def embed_folder(
    files: Sequence[Path | None], embed: Embed, dim: int, progress: Progress | None = None
) -> FolderVectors:
    """files: one per clip, see `find_pictures`; dim: length of an identity vector."""
    vectors = np.full((len(files), dim), np.nan)
    faceless = 0
    for i, file in enumerate(files):
        if file is not None:
            try:
                vectors[i] = embed(file)
            except ItemError:
                faceless += 1
        if progress is not None:
            progress(i + 1, len(files))
    return FolderVectors(vectors, tuple(files), sum(file is None for file in files), faceless)


def _picture(folder: Path, clip: str) -> Path | None:
    candidates = ((folder / clip).with_suffix(suffix) for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)
