"""Backbones and parameterisations of the decoder at equal compute: seconds on one machine, in turns, on the same faces.

    pip install --no-deps diffusers   # the U-Net
    python benchmarks/backbones.py DATABASE --out FOLDER [--seconds 480] [--faces 300]

All are conditioned on the identity vector alone and start from scratch, without linear face and likeness loss, which
help any of them. The learning rate of each is the best of several after a short pilot. The measures are comparable for
all: the squared error of the predicted clean picture of held-out faces at fixed times, and the Fréchet distance in
dlib's space of faces drawn by the same sampler. Writes FOLDER/curves.jsonl and FOLDER/backbones.png.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.dataset import Dataset
from ds2f.diffusion.flow import flow_error, interpolate, sample_time
from ds2f.diffusion.samplers import multistep
from ds2f.evaluation.realism import frechet_distance, kernel_distance
from ds2f.io.images import write_grid
from ds2f.models.conditioning import Condition, Conditioning, Conditions
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.pixels import to_uint8
from ds2f.training.faces import FaceData, load_faces
from ds2f.training.likeness import Likeness
from ds2f.training.loop import Options, make_optimizers, update_ema

SIZE, BATCH, TURNS = 64, 32, 12
TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)  # at which the predicted picture is compared with the true one
DROP = 0.1  # share of rows without conditions


class Transformer(nn.Module):
    """Our decoder, with its linear face left at zero. (z, t, conditions) to an output shaped like z."""

    def __init__(self) -> None:
        super().__init__()
        body = Decoder(DecoderConfig(SIZE, depth=6, conditions={"identity": 128}))
        self.blocks = body.blocks  # first, because `make_optimizers` recognises matrices for Muon by this name
        self.body = body

    def forward(self, z: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        return cast(Tensor, self.body(z, t, conditions))

    @property
    def conditioning(self) -> Conditioning:
        return self.body.conditioning


class UNet(nn.Module):
    """The U-Net of diffusers, with the same conditioning, which is added to its time embedding."""

    def __init__(self) -> None:
        super().__init__()
        from diffusers import UNet2DModel  # type: ignore[import-not-found]

        channels = (32, 64, 128, 192)
        self.conditioning = Conditioning({"identity": 128}, 4 * channels[0])
        self.body = UNet2DModel(
            sample_size=SIZE, in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=channels,
            down_block_types=("DownBlock2D", "DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"),
            class_embed_type="identity", norm_num_groups=16, attention_head_dim=32,
        ).to(memory_format=torch.channels_last)  # fmt: skip

    def forward(self, z: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        told = self.conditioning(t, conditions)
        z = z.contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.body(z, 1000 * t, class_labels=told).sample)


# From the output of the network to the predicted clean picture x̂, with z = t x + (1 − t) ε


def as_x(net: nn.Module, z: Tensor, t: Tensor, c: Conditions) -> Tensor:
    return cast(Tensor, net(z, t, c)).float()


def as_v(net: nn.Module, z: Tensor, t: Tensor, c: Conditions) -> Tensor:
    """v = x − ε = (x − z) / (1 − t)"""
    return z + (1 - t)[:, None, None, None] * net(z, t, c).float()


def as_edm(net: nn.Module, z: Tensor, t: Tensor, c: Conditions) -> Tensor:
    """c_skip y + c_out F(c_in y), y = x + σ ε = z / t, σ = (1 − t) / t, σ_data = 1 (Karras et al. 2022,
    arXiv:2206.00364, table 1), written in z so that it is finite at t = 0."""
    t = t[:, None, None, None]
    length = (t**2 + (1 - t) ** 2).sqrt()
    return t / length**2 * z + (1 - t) / length * net(z / length, t[:, 0, 0, 0], c).float()


def edm_time(count: int, generator: torch.Generator) -> Tensor:
    """t = 1 / (1 + σ), ln σ ~ N(−1.2, 1.2²)"""
    return 1 / (1 + torch.exp(-1.2 + 1.2 * torch.randn(count, generator=generator)))


def edm_error(predicted: Tensor, x: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """(σ² + 1) / σ² |x̂ − x|²"""
    sigma = (1 - t) / t
    return (sigma**2 + 1) / sigma**2 * (predicted - x).square().flatten(1).mean(1)


FLOW = (lambda count, generator: sample_time(count, generator), flow_error)
EDM = (edm_time, edm_error)
VARIANTS: dict[str, tuple[type[nn.Module], Any, Any, tuple[float, ...]]] = {
    "transformer, flow, predicts x": (Transformer, as_x, FLOW, (5e-4, 1e-3, 2e-3)),
    "transformer, flow, predicts v": (Transformer, as_v, FLOW, (5e-4, 1e-3, 2e-3)),
    "transformer, EDM": (Transformer, as_edm, EDM, (5e-4, 1e-3, 2e-3)),
    "U-Net, flow, predicts x": (UNet, as_x, FLOW, (3e-4, 1e-3)),
    "U-Net, EDM": (UNet, as_edm, EDM, (3e-4, 1e-3)),
}


@dataclass
class Run:
    """One variant in training. lr: peak; seconds: trained so far; curve: {"seconds", "seen", "errors"} rows."""

    name: str
    data: FaceData
    lr: float
    total: float  # seconds in all
    seconds: float = 0.0
    seen: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        build, self.predict, (self.times, self.error), _ = VARIANTS[self.name]
        self.net = build()
        cast(Conditioning, self.net.conditioning).set_statistics("identity", self.data.of("identity")[:10_000])
        self.ema = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimizers = make_optimizers(self.net, Options(Path(), BATCH, 1, self.lr, 0, 1.0))
        self.generator = torch.Generator().manual_seed(0)
        self.mean, self.spread = statistics(self.data)

    def train(self, seconds: float) -> None:
        started, before = time.perf_counter(), self.seconds
        while self.seconds < before + seconds:
            share = self.seconds / self.total
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.lr * min(1.0, share / 0.02 + 0.05, (1 - share) / 0.4 + 0.01)
            self._step()
            self.seconds = before + time.perf_counter() - started

    def _step(self) -> None:
        g = self.generator
        rows = torch.randint(len(self.data), (BATCH,), generator=g)
        x = (self.data.image[rows].float() / 127.5 - 1 - self.mean) / self.spread
        x = torch.where(torch.rand(BATCH, 1, 1, 1, generator=g) < 0.5, x.flip(3), x)
        told = Condition(self.data.conditions["identity"].value[rows], torch.rand(BATCH, generator=g) >= DROP)
        t = self.times(BATCH, g)
        z = interpolate(x, t, torch.randn(x.shape, generator=g))
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.error(self.predict(self.net, z, t, {"identity": told}), x, z, t).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        update_ema(self.ema, self.net, self.seen, BATCH, 3000)
        self.seen += BATCH

    @torch.no_grad()
    def measure(self, held_out: FaceData) -> list[float]:
        """|x̂ − x|² for 128 held-out faces given their identity, at each of TIMES."""
        x = (held_out.image[:128].float() / 127.5 - 1 - self.mean) / self.spread
        told = {"identity": Condition.of(held_out.of("identity")[:128])}
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        errors = []
        for time_ in TIMES:
            t = torch.full((len(x),), time_)
            with torch.autocast("cpu", torch.bfloat16):
                predicted = self.predict(self.ema, interpolate(x, t, noise), t, told)
            errors.append(float((predicted - x).square().mean()))
        self.curve.append({"variant": self.name, "seconds": self.seconds, "seen": self.seen, "errors": errors})
        return errors

    @torch.no_grad()
    def draw(self, identity: Tensor) -> Tensor:
        """Pictures in [-1, 1]."""
        drawn = []
        for start in range(0, len(identity), BATCH):
            told = {"identity": Condition.of(identity[start : start + BATCH])}
            shape = (len(told["identity"].value), 3, SIZE, SIZE)
            noise = torch.randn(shape, generator=torch.Generator().manual_seed(start))
            with torch.autocast("cpu", torch.bfloat16):
                drawn.append(multistep(lambda z, t, c=told: self.predict(self.ema, z, t, c), noise, 16))  # type: ignore[misc]
        return (torch.cat(drawn) * self.spread + self.mean).clamp(-1, 1)


def statistics(data: FaceData) -> tuple[Tensor, Tensor]:
    """Mean face, (3, size, size), and standard deviation of the pixels around it."""
    pixels = (
        data.image[torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:5000]].float() / 127.5 - 1
    )
    return pixels.mean(0), (pixels - pixels.mean(0)).std()


def pilot(name: str, data: FaceData, held_out: FaceData, seconds: float) -> float:
    """The learning rate with the lowest errors."""
    found = {}
    for lr in VARIANTS[name][3]:
        run = Run(name, data, lr, seconds)
        run.train(seconds)
        found[lr] = sum(run.measure(held_out))
    print(f"{name}: " + ", ".join(f"lr {lr:g} error {error:.3f}" for lr, error in found.items()), flush=True)
    return min(found, key=lambda lr: found[lr])


def plot(runs: list[Run], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, key, label in zip(axes, ("seconds", "seen"), ("seconds of training", "faces seen"), strict=True):
        for run in runs:
            axis.plot([row[key] for row in run.curve], [np.mean(row["errors"]) for row in run.curve], label=run.name)
        axis.set_xlabel(label)
        axis.set_yscale("log")
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("error of the predicted picture, held-out faces")
    axes[1].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=480.0, help="of training, each")
    parser.add_argument("--pilot", type=float, default=40.0, help="seconds for each learning rate")
    parser.add_argument("--faces", type=int, default=300, help="drawn for the Fréchet distance")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with Dataset(options.database) as dataset:
        data, held_out = (load_faces(dataset, split, SIZE) for split in ("train", "val"))
    rates = {name: pilot(name, data, held_out, options.pilot) for name in VARIANTS}
    runs = [Run(name, data, rate, options.seconds) for name, rate in rates.items()]
    for _ in range(TURNS):
        for run in runs:
            run.train(options.seconds / TURNS)
            run.measure(held_out)
        (options.out / "curves.jsonl").write_text("".join(json.dumps(row) + "\n" for r in runs for row in r.curve))
    plot(runs, options.out / "backbones.png")
    identity = held_out.of("identity")
    told, others = identity[: options.faces], identity[options.faces :].numpy()
    judge = Likeness(data.of("identity").mean(0))
    print("\n| | parameters | lr | faces seen | error | at t = 0.1 | 0.5 | 0.9 | Fréchet | kernel x1000 | likeness |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    sheet = []
    for run in runs:
        faces = run.draw(told)
        sheet.append(to_uint8(faces[:10]))
        with torch.no_grad():
            vectors = torch.cat([judge.vectors(part) for part in faces.split(BATCH)])
            like = torch.cosine_similarity(vectors - judge.mean, told - judge.mean).mean()
        errors = run.curve[-1]["errors"]
        cells = [f"{sum(p.numel() for p in run.net.parameters()) / 1e6:.1f} M", f"{run.lr:g}", f"{run.seen:,}"]
        cells += [f"{np.mean(errors):.3f}", f"{errors[0]:.3f}", f"{errors[2]:.3f}", f"{errors[4]:.4f}"]
        drawn = vectors.numpy()
        cells += [f"{frechet_distance(drawn, others):.3f}", f"{1000 * kernel_distance(drawn, others):.1f}"]
        print(f"| {run.name} | {' | '.join(cells)} | {float(like):.2f} |", flush=True)
    write_grid(options.out / "faces.png", sheet)


if __name__ == "__main__":
    main()
