"""Guide pictures: brought into the crop that the decoder completes, and weighed against the voice.

The decoder believes the identity that it is conditioned on. Given the one that a voice suggests, it would draw that
over what a guide picture still shows. So the guide is first completed alone, a few times: what the completions agree
on, the picture shows; where they differ, it is imagined.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import cv2
import numpy as np
import torch

from ds2f.face.align import canonical_crop, template
from ds2f.face.dlib_torch import DlibTorch
from ds2f.face.mtcnn import MTCNN
from ds2f.io.images import from_uint8

ALIGNED = 0.08  # of a picture's side: landmarks no farther from the template are in place
BATCH = 16  # faces looked at at once; bounds memory
GUESSES = (7_000_001, 7_000_002, 7_000_003)
"""Seeds of the completions; always these, so that a face depends on its own seed only."""
ALIKE = 5.0
"""Completions are wrong together: how far their mean is from the truth, squared, over what they differ by. Measured it
is 3; 5 finds the most people on the validation split, over all degradations (docs/results.md)."""


class GuideAligner:
    """Loads its detector with the first picture. Any thread may call it; they take turns, as OpenCV's networks carry
    state."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._detector: MTCNN | None = None

    def align(self, picture: np.ndarray, size: int) -> np.ndarray:
        """The canonical crop, (size, size, 3) uint8 RGB, of the face in a picture, (height, width, 3) uint8 RGB. Where
        no face is found, as in most that are blurred, or where it lies as it should already, the picture is taken to be
        that crop, whatever its size."""
        with self._turn:
            self._detector = self._detector or MTCNN()
            faces = self._detector.detect(picture)
        if faces:
            height, width = picture.shape[:2]
            off = faces[0].landmarks / (width, height) - template(1)
            if np.abs(off).max() >= ALIGNED:
                picture = canonical_crop(picture, faces[0].landmarks, size)
        shrinks = min(picture.shape[:2]) > size
        return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def follow_guides(
    identities: np.ndarray, complete: Callable[[int], np.ndarray], network: DlibTorch, colouring: np.ndarray
) -> np.ndarray:
    """Identities that voices suggest, (n, 128), moved towards whom n guides show, see `weigh`.

    complete: a seed to the guides completed without a voice, (n, size, size, 3) uint8 RGB.
    """
    shown = np.stack([identities_of(complete(seed), network) for seed in GUESSES])
    return weigh(identities, shown, colouring)


def identities_of(pictures: np.ndarray, network: DlibTorch) -> np.ndarray:
    """Whom drawn faces show: (n, size, size, 3) uint8 RGB, canonical crops, to (n, 128) float32."""
    device = network.head.weight.device
    with torch.no_grad():
        seen = [network.of_crops(part.to(device)).cpu() for part in from_uint8(pictures).split(BATCH)]
    found: np.ndarray = torch.cat(seen).numpy()
    return found


def weigh(heard: np.ndarray, shown: np.ndarray, colouring: np.ndarray) -> np.ndarray:
    """Identities that agree with a voice and with a guide picture: (n, d) float32.

    heard: (n, d), what the voices suggest; shown: (k, n, d), of k > 1 completions of each guide without a voice;
    colouring: (d, d), C of `models.prior`, so that Σ = Cᵀ C is how people of one voice differ. With the mean g of the
    completions and s² = ALIKE times their variance, alike in all directions, the posterior of two Gaussians moves what
    was heard by

        K (g − heard),   K = Σ (Σ + s² I)⁻¹       (Kalman, Journal of Basic Engineering 82(1), 1960)

    far where people differ and completions do not, and hardly where it is the other way round.
    """
    variance = ALIKE * shown.var(0, ddof=1, dtype=np.float64).mean(-1)
    spread, axes = np.linalg.eigh(colouring.T.astype(np.float64) @ colouring)
    gain = spread / (spread + variance[:, None] + 1e-12)
    moved: np.ndarray = heard + ((shown.mean(0) - heard) @ axes * gain) @ axes.T
    return moved.astype(np.float32)
