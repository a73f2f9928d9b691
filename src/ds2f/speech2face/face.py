"""What the pipeline returns: a picture, and how it was made."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ds2f.errors import UserError
from ds2f.io.credentials import Signer
from ds2f.io.images import FACE_FORMATS, NOTICE, encode_face, write_face
from ds2f.speech2face.upscale import larger
from ds2f.types import Excerpt


@dataclass(frozen=True, repr=False)
class GeneratedFace:
    """One imagined face.

    image: RGB, size x size.
    identity: (128,) float32, the vector sampled from the prior, from which the decoder drew the image.
    seed: reproduces the face on the same machine.
    details: model, settings and wishes.
    signer: signs the picture when it is written.
    """

    image: Image.Image
    identity: np.ndarray
    seed: int
    details: Mapping[str, Any] = field(default_factory=dict)
    signer: Signer | None = field(default=None, repr=False, compare=False)

    def save(self, path: str | Path) -> None:
        """Write the picture, marked as generated and with how it was made; the identity vector is not included.

        path: its suffix sets the format: .png, .webp, .jpg or .jpeg.
        Raises UserError for any other suffix.
        """
        if Path(path).suffix.lower() not in FACE_FORMATS:
            raise UserError(f"{path} has no ending of a picture; give one of {', '.join(FACE_FORMATS)}.")
        write_face(Path(path), self.image, {"seed": self.seed, **self.details}, signer=self.signer)

    def __repr__(self) -> str:
        made_by = f", model {self.details['model']}" if "model" in self.details else ""
        return f"GeneratedFace({self.image.width}x{self.image.height}, seed {self.seed}{made_by})"

    def _repr_png_(self) -> bytes:
        """How a notebook shows it."""
        return self.png()

    def upscaled(self, factor: int) -> GeneratedFace:
        """The same face as a larger picture, see `upscale.larger`. factor: 1, 2 or 4.

        Raises UserError for any other factor, and if the extra `upscale` is not installed.
        """
        if factor == 1:
            return self
        image = Image.fromarray(larger(np.asarray(self.image), factor, bool(self.details.get("watermark"))))
        return replace(self, image=image, details={**self.details, "upscale": factor})

    def png(self) -> bytes:
        """The bytes that `save` would write as a PNG."""
        return encode_face(self.image, {"seed": self.seed, **self.details}, signer=self.signer)


class Faces(list[GeneratedFace]):
    """The faces of a voice: a list that a notebook shows as pictures. part: of a long recording, that the voice is
    from; None if all of it was heard."""

    part: Excerpt | None = None

    def _repr_html_(self) -> str:
        return "".join(
            f'<figure style="display:inline-block;margin:0 8px 8px 0">'
            f'<img src="data:image/png;base64,{b64encode(face.png()).decode()}" width="{face.image.width}" '
            f'height="{face.image.height}" alt="Imagined face, seed {face.seed}" title="{NOTICE}">'
            f'<figcaption style="font-size:smaller">seed {face.seed}</figcaption></figure>'
            for face in self
        )


class FacesOfVoices(list[Faces]):
    """The faces of several voices, one list per voice; a notebook shows one line for each."""

    def _repr_html_(self) -> str:
        return "".join(f"<div>{faces._repr_html_()}</div>" for faces in self)


def made(
    images: np.ndarray,
    identities: np.ndarray,
    seeds: Sequence[int],
    details: Mapping[str, Any],
    signer: Signer | None = None,
) -> list[GeneratedFace]:
    """Pictures as `GeneratedFace`s, with what they were drawn from.

    images: (n, size, size, 3) uint8 RGB.
    identities: (n, d).
    seeds: n whole numbers.
    details, signer: as in `GeneratedFace`, the same for all.
    """
    rows = zip(images, identities, seeds, strict=True)
    return [GeneratedFace(Image.fromarray(image), identity, seed, details, signer) for image, identity, seed in rows]
