"""The interface of all speaker encoders. Each file in this folder implements one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, device


class SpeakerEncoder(Protocol):
    """Turns speech into speaker embeddings. `name` marks its rows in the database."""

    name: str
    licence: str
    dim: int

    def embed(self, clips: np.ndarray) -> np.ndarray:
        """clips: (n, samples) float32 in [-1, 1], 16 kHz mono, speech. Returns (n, dim) float32 of length 1.

        A row of NaN means that the encoder found no speech in that clip.
        """
        ...


def in_parts(describe: Callable[[Tensor], Tensor], clips: Tensor, place: device) -> np.ndarray:
    """(n, ...) of n clips through a network on a device: (n, dim) float32.

    A CPU is no faster with large batches, and one at a time the last bits of a vector do not depend on the others.
    """
    parts = clips.split(1 if place.type == "cpu" else len(clips))
    return np.concatenate([describe(part.to(place)).cpu().numpy() for part in parts])


def unit_rows(vectors: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """A network's output for each clip, (n, dim), as SpeakerEncoder.embed returns it: (n, dim) float32 of length 1.

    Networks without voice activity detection answer to any input; here, a clip of digital silence gets its row of NaN.
    """
    vectors = np.asarray(vectors, np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    heard = (length > 0) & np.any(clips, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.full_like(vectors, np.nan), where=heard)
