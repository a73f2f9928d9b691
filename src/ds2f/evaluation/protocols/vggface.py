"""The VGGFace score of SF2F (Bai et al. 2020, arXiv:2006.05888): the Inception score over VGGFace2's people.

    exp E_x KL(p(y|x) ‖ p(y)),   p(y) = E_x p(y|x),   mean and standard deviation over five parts of the pictures

The user has to provide the network: VGGFace2's ResNet-50 with its 8,631 classes
(github.com/cydonia999/VGGFace2-pytorch) as TorchScript. A TorchScript file is a program, though not a Python one: use
one from a source you trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.io.extras import first_line

SPLITS = 5
MEAN = (131.0912, 103.8827, 91.4953)  # RGB, subtracted from every picture
SIDE = 224  # pixels


@dataclass(frozen=True)
class Score:
    """VGGFace score: mean and standard deviation over SPLITS parts, at least 1."""

    mean: float
    deviation: float


def vggface_score(probabilities: np.ndarray, splits: int = SPLITS, seed: int = 0) -> Score:
    """probabilities: (n, classes), each row summing to 1; n at least `splits`."""
    shuffled = np.random.default_rng(seed).permutation(probabilities)
    found = []
    for i in range(splits):
        part = shuffled[i * len(shuffled) // splits : (i + 1) * len(shuffled) // splits]
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = np.where(part > 0, part * (np.log(part) - np.log(part.mean(0))), 0.0).sum(1)
        found.append(float(np.exp(divergence.mean())))
    return Score(float(np.mean(found)), float(np.std(found)))


class VGGFace:
    """(n, 3, 224, 224) float32 RGB, with the mean subtracted, to (n, classes) logits."""

    def __init__(self, file: Path) -> None:
        """Raises UserError for a file that is missing, or does not take such pictures."""
        wanted = "[evaluate] vggface must be VGGFace2's ResNet-50 with its classes, as TorchScript"
        if not file.is_file():
            raise UserError(f"There is no file {file}; {wanted}.")
        try:
            self._network = torch.jit.load(file, map_location="cpu").eval()
            found = self.probabilities([np.zeros((64, 64, 3), np.uint8)])
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{file} cannot be used ({first_line(error)}); {wanted}.") from None
        if found.ndim != 2 or len(found) != 1:
            raise UserError(f"{file} gives {found.shape} for one picture; {wanted}.")

    @torch.inference_mode()
    def probabilities(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """n pictures, (h, w, 3) uint8, to (n, classes) float64."""
        mean, side = torch.tensor(MEAN), (SIDE, SIDE)
        found = []
        for picture in pictures:
            pixels = (torch.from_numpy(picture).float() - mean).permute(2, 0, 1)[None]
            enlarged = torch.nn.functional.interpolate(pixels, size=side, mode="bilinear", align_corners=True)
            found.append(self._network(enlarged).double().softmax(1))
        return torch.cat(found).numpy()

    def score(self, pictures: Sequence[np.ndarray]) -> Score | None:
        """None for fewer pictures than SPLITS."""
        return vggface_score(self.probabilities(pictures)) if len(pictures) >= SPLITS else None
