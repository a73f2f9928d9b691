"""What the prior learns from: pairs of a voice and a face of the same person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.diffusion.flow import flow_loss, sample_time
from ds2f.models.conditioning import Condition
from ds2f.models.linear import LinearPrior, choose_alpha
from ds2f.models.prior import Prior
from ds2f.training.pairs import PairData

FOLDS = 10
NOISE_ON_MEAN = 0.3  # of its spread, added in training: with few pairs the network must not memorise voices


def out_of_fold(voice: np.ndarray, identity: np.ndarray, person: np.ndarray, alpha: float, seed: int = 0) -> np.ndarray:
    """Linear predictions for people whom the map has not seen: (n, di). person: (n,) int."""
    fold = (np.random.default_rng(seed).permutation(int(person.max()) + 1) % FOLDS)[person]
    predicted = np.empty_like(identity)
    for k in range(FOLDS):
        held_out = fold == k
        if held_out.any():
            fitted = LinearPrior.fit(voice[~held_out], identity[~held_out], alpha)
            predicted[held_out] = fitted.predict(voice[held_out])
    return predicted


class PriorTask:
    """See `loop.Task`: fits the linear map and the whitening at once, leaves the flow to the loop."""

    def __init__(self, model: Prior, train: PairData, validation: PairData, device: torch.device) -> None:
        model.inputs.fit(train.voices)
        voice = model.inputs(train.voices).numpy()
        alpha = choose_alpha(voice, train.identity)
        linear = LinearPrior.fit(voice, train.identity, alpha)
        mean = out_of_fold(voice, train.identity, train.person, alpha)
        residual = train.identity - mean
        whitening, colouring = whiten(residual)
        tensors = {
            "voice_mean": linear.voice_mean,
            "identity_mean": linear.identity_mean,
            "linear": linear.weight,
            "whitening": whitening,
            "colouring": colouring,
        }
        for name, value in tensors.items():
            getattr(model, name).copy_(torch.from_numpy(np.asarray(value, np.float32)))
        model.conditioning.set_statistics("mean", torch.from_numpy(mean))
        self.model = model.to(device)
        self.device = device
        self.size = len(mean)
        self.mean = torch.from_numpy(mean).float()
        self.target = torch.from_numpy(residual @ whitening).float()
        held_out = linear.predict(model.inputs(validation.voices).numpy())
        self.held_out_mean = torch.from_numpy(held_out).float()
        self.held_out_target = torch.from_numpy((validation.identity - held_out) @ whitening).float()

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(len(rows), self.mean.shape[1], generator=generator)
        mean = self.mean[rows] + NOISE_ON_MEAN * self.mean.std(0) * noise
        given = torch.rand(len(rows), generator=generator) >= 0.1
        return self._losses(self.model, mean, given, self.target[rows], generator)

    def _losses(self, model: nn.Module, mean: Tensor, given: Tensor, x: Tensor, noise: torch.Generator) -> Tensor:
        condition = Condition(mean.to(self.device), given.to(self.device))
        t = sample_time(len(x), noise).to(self.device)
        epsilon = torch.randn(x.shape, generator=noise).to(self.device)
        return flow_loss(lambda z, t: model(z, t, condition), x.to(self.device), t, epsilon).mean()

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """Mean loss on the validation pairs, eight draws of time and noise each, fixed."""
        mean, x = self.held_out_mean.repeat(8, 1), self.held_out_target.repeat(8, 1)
        given = torch.ones(len(x), dtype=torch.bool)
        return float(self._losses(ema, mean, given, x, torch.Generator().manual_seed(1)))

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Identity vectors have no picture."""


def whiten(residual: np.ndarray, floor: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Matrices W, C with  residual @ W ~ (0, I)  and  W C = I: principal axes over their standard deviations.

    floor: of the largest standard deviation; smaller ones are raised to it, so that noise is not blown up.
    """
    covariance = np.cov(residual, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    std = np.sqrt(np.maximum(values, 0))
    std = np.maximum(std, floor * std.max())
    return vectors / std, (vectors * std).T
