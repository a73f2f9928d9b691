"""What is asked of a face besides its voice, checked before anything is drawn."""

from __future__ import annotations

import hashlib
import operator
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from ds2f.errors import ItemError, UserError
from ds2f.io.images import decode_image, read_image, to_rgb
from ds2f.types import ETHNICITIES, GENDERS, Source, Wish

Picture: TypeAlias = str | Path | bytes | Image.Image | np.ndarray
"""A path, the bytes of a file, a PIL image, or an array, as `io.images.to_rgb` takes it; all give the same pixels."""


def make_wish(
    age: float | None = None,
    gender: str | None = None,
    ethnicity: str | None = None,
    guide: Picture | None = None,
    language: str | None = None,
) -> Wish:
    """What is asked of a face, checked.

    age: years, from 0 to 100.
    gender: one of types.GENDERS.
    ethnicity: one of types.ETHNICITIES.
    guide: a picture to complete, see `Picture`.
    language: ISO 639-1 code.
    Raises UserError for an age out of range, a name the models do not know, and a guide that is not a picture.
    """
    if age is not None:
        if isinstance(age, bool) or not (isinstance(age, Real) and 0 <= age <= 100):
            raise UserError(f"The age {age!r} cannot be wished for; give years from 0 to 100.")
        age = float(age)  # of NumPy or not, so that it can be recorded
    for what, value, known in (("gender", gender, GENDERS), ("ethnicity", ethnicity, ETHNICITIES)):
        if value is not None and value not in known:
            raise UserError(f"The {what} {value!r} is not known; choose one of {', '.join(known)}.")
    return Wish(age, gender, ethnicity, None if guide is None else _pixels(guide), language=language)


def seeds_from(first: int, count: int) -> list[int]:
    """`count` seeds, one for each face of a voice. first: any whole number. Raises UserError for anything else."""
    try:
        return [operator.index(first) + i for i in range(count)]
    except TypeError:
        raise UserError(f"The seed {first!r} is not a whole number; give one, such as 0.") from None


def as_json(wish: Wish) -> dict[str, Any]:
    """The wish, for the record; only a hash of the guide."""
    said = {"age": wish.age, "gender": wish.gender, "ethnicity": wish.ethnicity, "language": wish.language}
    if wish.guide is not None:
        said["guide"] = hashlib.sha256(wish.guide.tobytes()).hexdigest()[:12]
    return {name: value for name, value in said.items() if value is not None}


def _pixels(guide: Picture) -> np.ndarray:
    name = str(guide) if isinstance(guide, str | Path) else "picture"
    try:
        if isinstance(guide, Image.Image | np.ndarray):
            pixels = to_rgb(guide)
        else:
            if not isinstance(guide, str | Path | bytes):
                raise ItemError("open", "a picture is a path, the bytes of a file, an array or an image of Pillow")
            pixels = decode_image(guide) if isinstance(guide, bytes) else read_image(Source(Path(guide)))
    except ItemError as error:
        raise UserError(f"The guide {name} cannot be used: {error.reason}.") from None
    if (pixels == pixels[0, 0]).all():
        height, width = pixels.shape[:2]
        raise UserError(f"The guide {name} cannot be used: it shows nothing, {width} x {height} pixels of one colour.")
    return pixels
