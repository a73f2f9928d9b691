"""Inception-v3's features, with which a Fréchet distance is the FID (Heusel et al. 2017, arXiv:1706.08500).

The user has to provide the network: inception-2015-12-05.pt, the weights of the FID's authors as a TorchScript program,
distributed with StyleGAN2-ADA and also used by clean-fid. It takes (n, 3, h, w) uint8 RGB and scales to 299 px itself.
A TorchScript file is a program, though not a Python one: use one from a source you trust.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.io.extras import first_line

INCEPTION, DIM = "inception", 2048
_BATCH = 16  # pictures at once; limits memory


class Inception:
    """The network. fingerprint: short hash of the file."""

    def __init__(self, file: Path) -> None:
        """Raises UserError for a file that is missing, or is not that network."""
        wanted = "[evaluate] inception must be inception-2015-12-05.pt of StyleGAN2-ADA"
        if not file.is_file():
            raise UserError(f"There is no file {file}; {wanted}.")
        try:
            self._network = torch.jit.load(file, map_location="cpu").eval()
            found = self.features([np.zeros((64, 64, 3), np.uint8)])
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{file} cannot be used ({first_line(error)}); {wanted}.") from None
        if found.shape != (1, DIM):
            raise UserError(f"{file} gives {found.shape[1:]} features and not {DIM}; {wanted}.")
        self.fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()[:12]

    @torch.inference_mode()
    def features(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """n pictures, (size, size, 3) uint8 RGB of one size, to (n, 2048) float64."""
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        found = [self._network(batch, return_features=True) for batch in pixels.split(_BATCH)]
        return torch.cat(found).double().numpy()
