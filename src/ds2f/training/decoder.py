"""What the decoder learns from: every face of the dataset, recordings and stills, with its identity vector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ds2f.dataset import Dataset
from ds2f.diffusion.flow import flow_loss, sample_time
from ds2f.diffusion.samplers import heun
from ds2f.errors import UserError
from ds2f.media import decode_image
from ds2f.models.conditioning import Condition, Conditions
from ds2f.models.decoder import Decoder
from ds2f.pictures import to_uint8, write_grid

DROP_IDENTITY = 0.15  # of the rows, for guidance and for faces without a voice
DROP_COVERAGE = 0.05
WHOLE = 0.85  # coverage above which a crop hardly shows the border of its picture


@dataclass(frozen=True)
class FaceData:
    """image: (n, 3, size, size) uint8; identity: (n, 128) float32; coverage: (n, 1) float32 in [0, 1]."""

    image: Tensor
    identity: Tensor
    coverage: Tensor

    def __len__(self) -> int:
        return len(self.image)


def load_faces(dataset: Dataset, split: str, size: int) -> FaceData:
    """All faces of a split, in memory, `size` pixels wide. Raises UserError if there are none."""
    rows = list(dataset.faces(split))
    if not rows:
        raise UserError(f"{dataset.path} has no faces in split {split!r}; run `ds2f extract` first, or ingest more.")
    images = np.empty((len(rows), size, size, 3), np.uint8)
    for i, row in enumerate(rows):
        crop = decode_image(row.crop)
        images[i] = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) if crop.shape[0] != size else crop
    return FaceData(
        torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.stack([row.identity for row in rows])),
        torch.tensor([[row.coverage] for row in rows], dtype=torch.float32),
    )


def fit_linear_face(identity: Tensor, x: Tensor, ridge: float = 0.02) -> Tensor:
    """Ridge map from identities to pixels: (n, d) standardised, (n, 3, h, w) normalised, to (d, 3 h w).

    W = (AᵀA + λ n I)⁻¹ Aᵀ X   (Hoerl & Kennard 1970, as in `models.linear`)
    """
    gram = identity.T @ identity + ridge * len(identity) * torch.eye(identity.shape[1], device=identity.device)
    return torch.linalg.solve(gram, identity.T @ x.flatten(1))


class DecoderTask:
    """See `loop.Task`. device: where the model lives; the faces stay in main memory."""

    def __init__(self, model: Decoder, train: FaceData, validation: FaceData, device: torch.device) -> None:
        self.model = model.to(device)
        self.data, self.validation, self.device = train, validation, device
        self.size = len(train)
        self._measure()

    def _measure(self) -> None:
        """Mean face, pixel spread, condition statistics and linear face, from up to 10,000 faces of the train split
        that lie wholly inside their pictures (all faces, if hardly any does)."""
        whole = torch.nonzero(self.data.coverage[:, 0] > WHOLE)[:, 0]
        whole = whole if len(whole) > 1000 else torch.arange(self.size)
        some = whole[torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[:10_000]]
        pixels = self.data.image[some].float() / 127.5 - 1
        self.model.image_mean.copy_(pixels.mean(0))
        self.model.image_std.copy_((pixels - pixels.mean(0)).std())
        self.model.conditioning.set_statistics("identity", self.data.identity[some])
        self.model.conditioning.set_statistics("coverage", self.data.coverage)
        identity = self.model.conditioning.standardise("identity", self.data.identity[some].to(self.device))
        x = self.model.normalise(pixels.to(self.device))
        self.model.linear_face.copy_(fit_linear_face(identity, (x + x.flip(3)) / 2))

    def _batch(self, data: FaceData, rows: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Conditions]:
        pixels = data.image[rows].float() / 127.5 - 1
        identity, coverage = Condition.of(data.identity[rows]), Condition.of(data.coverage[rows])
        if generator is not None:
            n = len(rows)
            flip = torch.rand(n, generator=generator) < 0.5  # the identity vector hardly knows left from right
            pixels = torch.where(flip[:, None, None, None], pixels.flip(3), pixels)
            identity = Condition(identity.value, torch.rand(n, generator=generator) >= DROP_IDENTITY)
            coverage = Condition(coverage.value, torch.rand(n, generator=generator) >= DROP_COVERAGE)
        conditions = {
            name: Condition(c.value.to(self.device), c.given.to(self.device))
            for name, c in (("identity", identity), ("coverage", coverage))
        }
        return pixels.to(self.device), conditions

    def _losses(self, model: Decoder, data: FaceData, rows: Tensor, noise: torch.Generator, augment: bool) -> Tensor:
        pixels, conditions = self._batch(data, rows, noise if augment else None)
        x = model.normalise(pixels)
        t = sample_time(len(rows), noise).to(self.device)
        epsilon = torch.randn(x.shape, generator=noise).to(self.device)
        return flow_loss(lambda z, t: model(z, t, conditions), x, t, epsilon)

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        return self._losses(self.model, self.data, rows, generator, augment=True).mean()

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """Mean loss on up to 256 faces of the validation split, with fixed times and noise."""
        assert isinstance(ema, Decoder)
        rows = torch.arange(min(256, len(self.validation)))
        return float(self._losses(ema, self.validation, rows, torch.Generator().manual_seed(1), augment=False).mean())

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Eight validation faces, and below each what the decoder makes of its identity, from two seeds; last row:
        nothing given but full coverage."""
        assert isinstance(ema, Decoder)
        count = min(8, len(self.validation))
        rows = torch.arange(count)
        pixels, _ = self._batch(self.validation, rows, None)
        identity = self.validation.identity[rows].to(self.device)
        grid = [pixels.cpu()]
        full = Condition.of(torch.ones(count, 1, device=self.device))
        for seed, given in ((0, True), (1, True), (2, False)):
            noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(seed)).to(self.device)
            conditions = {"coverage": full, **({"identity": Condition.of(identity)} if given else {})}
            sample = heun(lambda z, t, c=conditions: ema(z, t, c), noise, 12)  # type: ignore[misc]
            grid.append(ema.denormalise(sample).cpu())
        write_grid(path, [to_uint8(row) for row in grid])
