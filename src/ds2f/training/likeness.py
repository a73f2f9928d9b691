"""The likeness loss: does a drawn face look like the person it was conditioned on, according to face recognisers?

Identity affects few of the pixels, so a decoder trained only to predict pixels learns it last. Judging its prediction
by a face recognition network teaches it directly (as SF2F, Bai et al. 2022, arXiv:2006.05888, and PuLID, Guo et al.
2024, arXiv:2404.16022, do with networks of their own). The price: training has then seen the space of that network, and
reports that measure in it must say so.

A network that always sees the same pixels in the same place can be satisfied by a faint pattern there, which the
decoder then learns to draw. So it sees each face differently every time (`View`), and further networks (`judges`) with
other weaknesses may be used besides dlib's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.diffusion.noise import normal, uniform
from ds2f.face.dlib_resnet import network_file
from ds2f.face.dlib_torch import load_dlib
from ds2f.training.judges import FileJudge
from ds2f.types import DLIB

SHIFT = 0.05  # of the crop, either way: 3 of 64 pixels, as wide as the strides of layers that see fine patterns
SCALE = 0.1  # relative size: a pattern as fine as the pixels then fits no stride
NOISE = 0.06  # maximum standard deviation for pixels in [-1, 1]: 8 of 255; it drowns fainter patterns
MOVED = ("shift", "mirror")
VIEWS = (*MOVED, "scale", "noise")


@dataclass(frozen=True)
class View:
    """How a judge sees n faces. mirrored: (n, 1, 1, 1) bool; noise: added to the pixels, (n, 3, size, size); shift: (n,
    2), offset of the region it sees, right and down, as shares of the crop; scale: (n,), relative size of that region.
    None: unchanged."""

    mirrored: Tensor | None = None
    noise: Tensor | None = None
    shift: Tensor | None = None
    scale: Tensor | None = None

    @classmethod
    def drawn(cls, faces: Tensor, kinds: Sequence[str], generator: torch.Generator) -> View:
        """A new one for each of (n, 3, size, size) faces. kinds: from VIEWS."""
        n, device = len(faces), faces.device
        shift = mirrored = scale = noise = None
        if "shift" in kinds:
            shift = SHIFT * (2 * uniform(generator, n, 2, to=device) - 1)
        if "mirror" in kinds:
            mirrored = uniform(generator, n, 1, 1, 1, to=device) < 0.5
        if "scale" in kinds:
            scale = 1 + SCALE * (2 * uniform(generator, n, to=device) - 1)
        if "noise" in kinds:
            noise = NOISE * uniform(generator, n, 1, 1, 1, to=device) * normal(generator, *faces.shape, to=device)
        return cls(mirrored, noise, shift, scale)

    def of(self, faces: Tensor) -> Tensor:
        """The faces, mirrored and with noise; for shift and scale see `models.pixels.square_of`."""
        if self.mirrored is not None:
            faces = faces.flip(3).where(self.mirrored, faces)
        return faces if self.noise is None else faces + self.noise


AS_IT_IS = View()


class Likeness(nn.Module):
    """mean: (128,) identity vector of the mean person, the origin for cosines."""

    mean: Tensor

    def __init__(self, mean: Tensor, judges: Sequence[str] = (), views: Sequence[str] = MOVED) -> None:
        """mean: of the training identities. judges: recognisers in files, in addition to dlib's network, see
        `FileJudge`; views: how faces are seen in training, from VIEWS. Raises UserError for anything that is not such a
        recogniser."""
        super().__init__()
        self.network = load_dlib(network_file())
        self.register_buffer("mean", mean.clone())
        self.judges = nn.ModuleList(FileJudge(spec) for spec in judges)
        self.views = tuple(views)

    @property
    def names(self) -> list[str]:
        """The face encoders whose spaces a training with this loss has seen."""
        return [DLIB, *(judge.name for judge in self._asked)]

    @property
    def _asked(self) -> list[FileJudge]:
        return [cast(FileJudge, judge) for judge in self.judges]

    def centre(self, faces: Tensor) -> None:
        """Set each judge's origin for cosines: the mean of its vectors for (n, 3, size, size) faces."""
        for judge in self._asked:
            judge.centre(faces)

    def vectors(self, faces: Tensor, view: View = AS_IT_IS) -> Tensor:
        """Identity vectors, (n, 128), of canonical crops, (n, 3, size, size) in [-1, 1]."""
        return self.network.of_crops(view.of(faces), view.shift, view.scale)

    def forward(
        self,
        faces: Tensor,
        identity: Tensor,
        generator: torch.Generator | None = None,
        real: Tensor | None = None,
    ) -> Tensor:
        """Likeness of drawn and given people, (n,): the centred cosine, averaged over the judges.

        faces: canonical crops, (n, 3, size, size) in [-1, 1].
        identity: (n, 128), the people they should show, from dlib.
        generator: for training: each judge sees each face in another `View`.
        real: pictures of the same people, like `faces`, with which judges other than dlib compare them.
        """
        view = self._view(faces, generator)
        found = [F.cosine_similarity(self.vectors(faces, view) - self.mean, identity - self.mean)]
        for judge in self._asked:
            if real is None:
                raise ValueError(f"{judge.name} compares pictures: it needs real ones")
            view = self._view(faces, generator)
            with torch.no_grad():
                wanted = judge(real)
            found.append(F.cosine_similarity(judge(view.of(faces), view.shift, view.scale), wanted))
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)

    def _view(self, faces: Tensor, generator: torch.Generator | None) -> View:
        return AS_IT_IS if generator is None else View.drawn(faces, self.views, generator)
