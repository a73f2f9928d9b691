"""What the pipeline gives back: a picture, and how it came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ds2f.io.images import encode_face, write_face


@dataclass(frozen=True)
class GeneratedFace:
    """One imagined face. image: RGB, size x size; identity: (128,) float32, the vector drawn from the prior that the
    decoder turned into the image; seed: reproduces it on the same machine; details: model, settings and wishes."""

    image: Image.Image
    identity: np.ndarray
    seed: int
    details: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write a PNG that says that it is generated, and how; the identity vector stays out of it."""
        write_face(Path(path), self.image, {"seed": self.seed, **self.details})

    def png(self) -> bytes:
        """What `save` would write."""
        return encode_face(self.image, {"seed": self.seed, **self.details})


def made(
    images: np.ndarray, identities: np.ndarray, seeds: Sequence[int], details: Mapping[str, Any]
) -> list[GeneratedFace]:
    """What was drawn, with what it was drawn from: (n, size, size, 3) uint8 RGB, (n, d), and n seeds."""
    rows = zip(images, identities, seeds, strict=True)
    return [GeneratedFace(Image.fromarray(image), identity, seed, details) for image, identity, seed in rows]
