"""Does a drawn face look like the person whose identity was given? A loss that asks the face descriptor itself.

A decoder that is only taught to predict pixels learns who somebody is last, as identity is few of the pixels. Judging
its prediction by a face recognition network teaches it directly (as SF2F, Bai et al. 2022, arXiv:2006.05888, and PuLID,
Guo et al. 2024, arXiv:2404.16022, do with networks of their own). The price: the space of that network is then one that
training has seen, and a report that measures in it has to say so.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.diffusion.noise import uniform
from ds2f.face.dlib_resnet import network_file
from ds2f.face.dlib_torch import load_dlib

SHIFT = 0.05  # of the crop, either way: 3 of 64 pixels, as wide as the strides of the layers that see fine patterns


class Likeness(nn.Module):
    """mean: (128,) identity vector of the mean person, which cosines are measured from."""

    mean: Tensor

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.network = load_dlib(network_file())
        self.register_buffer("mean", mean.clone())

    def vectors(self, faces: Tensor, shift: Tensor | None = None) -> Tensor:
        """Identity vectors, (n, 128), of canonical crops, (n, 3, size, size) in [-1, 1]; shift: see `chip_of_crop`."""
        return self.network.of_crops(faces, shift)

    def forward(self, faces: Tensor, identity: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Centred cosine, (n,), of canonical crops with identity vectors, (n, 128).

        generator: for training. Each face is then seen somewhat beside its place, and every other one mirrored. A judge
        whose grid of strides always lies on the same pixels is pleased by a faint pattern there, and gets it drawn.
        """
        shift = None
        if generator is not None:
            n, device = len(faces), faces.device
            shift = SHIFT * (2 * uniform(generator, n, 2, to=device) - 1)
            mirrored = uniform(generator, n, 1, 1, 1, to=device) < 0.5
            faces = faces.flip(3).where(mirrored, faces)
        return F.cosine_similarity(self.vectors(faces, shift) - self.mean, identity - self.mean)
