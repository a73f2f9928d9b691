"""What the prior learns from: pairs of a voice and a face of the same person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.diffusion.flow import flow_loss, sample_time
from ds2f.diffusion.noise import normal, uniform, whole
from ds2f.models.conditioning import Condition, Conditions
from ds2f.models.linear import LinearPrior, choose_alpha
from ds2f.models.prior import LOOKS, Prior
from ds2f.training.pairs import LoneFaces, Looks, PairData

FOLDS = 10
CPU = torch.device("cpu")  # where the pairs stay: they are few, and short
DROP_LOOK = 0.3  # of the rows that are told anything of their looks
NOISE_ON_MEAN = 0.3  # of its spread, added in training: with few pairs the network must not memorise voices


def folds(person: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n,) int: in which of FOLDS parts each row lies; a person lies in one. person: (n,) int."""
    parts: np.ndarray = np.random.default_rng(seed).permutation(int(person.max()) + 1) % FOLDS
    return parts[person]


def out_of_fold(voice: np.ndarray, identity: np.ndarray, person: np.ndarray, alpha: float, seed: int = 0) -> np.ndarray:
    """Linear predictions for people whom the map has not seen: (n, di). person: (n,) int."""
    fold = folds(person, seed)
    predicted = np.empty_like(identity)
    for k in range(FOLDS):
        held_out = fold == k
        if held_out.any():
            fitted = LinearPrior.fit(voice[~held_out], identity[~held_out], alpha)
            predicted[held_out] = fitted.predict(voice[held_out])
    return predicted


class PriorTask:
    """See `loop.Task`: fits the linear map and the whitening at once, leaves the flow to the loop.

    faces: without a voice; the flow learns from them how people differ from the average one, and what looks mean.
    """

    def __init__(
        self,
        model: Prior,
        train: PairData,
        validation: PairData,
        device: torch.device,
        faces: LoneFaces | None = None,
    ) -> None:
        self.model, self.device = model, device
        mean, whitening = self._fit_linear(train)
        self.size = len(train)
        self.pairs = _Rows.of(mean, train.identity, whitening, train.looks)
        held_out = model.predict_mean(model.inputs(validation.voices)).numpy()
        self.held_out = _Rows.of(held_out, validation.identity, whitening, validation.looks)
        self.faces = None
        if faces is not None:
            nobody = np.broadcast_to(model.identity_mean.numpy(), faces.identity.shape)
            lone = _Rows.of(nobody, faces.identity, whitening, faces.looks)
            self.faces = replace(lone, mean=lone.mean.dropped())
        for name in LOOKS if model.config.looks else ():
            known = [r.looks[name].value[r.looks[name].given] for r in (self.pairs, self.faces) if r is not None]
            model.conditioning.set_statistics(name, torch.cat(known))
        model.to(device)

    def _fit_linear(self, train: PairData) -> tuple[np.ndarray, np.ndarray]:
        """Fill the model's buffers; returns what the map predicts for people it has not seen, and the whitening."""
        model = self.model
        model.inputs.fit(train.voices)
        voice = model.inputs(train.voices).numpy()
        alpha = choose_alpha(voice, train.identity, train.person)
        linear = LinearPrior.fit(voice, train.identity, alpha)
        mean = out_of_fold(voice, train.identity, train.person, alpha)
        whitening, colouring = whiten(train.identity - mean)
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
        return mean, whitening

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        batch = self.pairs.rows(rows)
        noise = normal(generator, *batch.mean.value.shape, to=CPU)
        noisy = batch.mean.value + NOISE_ON_MEAN * self.pairs.mean.value.std(0) * noise
        batch = replace(batch, mean=Condition(noisy, uniform(generator, len(rows), to=CPU) >= 0.1))
        if self.faces is not None:
            chosen = whole(generator, len(self.faces.target), len(rows), to=CPU)
            batch = batch.and_also(self.faces.rows(chosen))
        return self._losses(self.model, replace(batch, looks=drop(batch.looks, generator)), generator)

    def _losses(self, model: nn.Module, batch: _Rows, noise: torch.Generator) -> Tensor:
        mean, x = _to(batch.mean, self.device), batch.target.to(self.device)
        looks = {name: _to(c, self.device) for name, c in batch.looks.items()}
        t = sample_time(len(x), noise).to(self.device)
        epsilon = normal(noise, *x.shape, to=self.device)
        return flow_loss(lambda z, t: model(z, t, mean, looks), x, t, epsilon).mean()

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """Mean loss on the validation pairs told nothing of their looks, eight draws of time and noise each, fixed."""
        batch = self.held_out.rows(torch.arange(len(self.held_out.target)).repeat(8))
        batch = replace(batch, looks={name: c.dropped() for name, c in batch.looks.items()})
        return float(self._losses(ema, batch, torch.Generator().manual_seed(1)))

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Identity vectors have no picture."""


@dataclass(frozen=True)
class _Rows:
    """mean: the linear prediction, (n, di); looks: see `models.prior.LOOKS`; target: (n, di) whitened residuals."""

    mean: Condition
    looks: Conditions
    target: Tensor

    @classmethod
    def of(cls, mean: np.ndarray, identity: np.ndarray, whitening: np.ndarray, looks: Looks) -> _Rows:
        target = torch.from_numpy((identity - mean) @ whitening).float()
        return cls(Condition.of(torch.from_numpy(mean.astype(np.float32))), looks.conditions(), target)

    def rows(self, rows: Tensor) -> _Rows:
        looks = {name: _rows(c, rows) for name, c in self.looks.items()}
        return _Rows(_rows(self.mean, rows), looks, self.target[rows])

    def and_also(self, more: _Rows) -> _Rows:
        looks = {name: _both(c, more.looks[name]) for name, c in self.looks.items()}
        return _Rows(_both(self.mean, more.mean), looks, torch.cat([self.target, more.target]))


def _rows(c: Condition, rows: Tensor) -> Condition:
    return Condition(c.value[rows], c.given[rows])


def _both(a: Condition, b: Condition) -> Condition:
    return Condition(torch.cat([a.value, b.value]), torch.cat([a.given, b.given]))


def _to(c: Condition, device: torch.device) -> Condition:
    return Condition(c.value.to(device), c.given.to(device))


def drop(looks: Conditions, generator: torch.Generator) -> Conditions:
    """Hide looks at random, row by row: each by itself, and half of the time all of them, so that any subset works."""
    n = len(next(iter(looks.values())).given)
    some = uniform(generator, n, to=CPU) < 0.5
    return {
        name: Condition(c.value, c.given & some & (uniform(generator, n, to=CPU) >= DROP_LOOK))
        for name, c in looks.items()
    }


def whiten(residual: np.ndarray, floor: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Matrices W, C with  residual @ W ~ (0, I)  and  W C = I: principal axes over their standard deviations.

    floor: of the largest standard deviation; smaller ones are raised to it, so that noise is not blown up.
    """
    covariance = np.cov(residual, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    std = np.sqrt(np.maximum(values, 0))
    std = np.maximum(std, floor * std.max())
    return vectors / std, (vectors * std).T
