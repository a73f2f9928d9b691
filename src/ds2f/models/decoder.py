"""The decoder p(image | any subset of conditions): a vision transformer on pixel patches that predicts the clean image.

After "Back to Basics: Let Denoising Generative Models Denoise" (JiT; Li & He 2025, arXiv:2511.13720): no latent space,
large patches, prediction of x rather than of noise or velocity. Departures, for a small budget: pixels are differences
from the mean face; a ridge map from identity to pixels, the *linear face*, provides what is known before sampling, so
that the network only learns the difference from it; and two small convolutions at the end remove the seams between
patches. A guide image is concatenated to the noisy one, patch by patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.models.conditioning import Conditioning, Conditions


@dataclass(frozen=True)
class DecoderConfig:
    """size: pixels; patch: pixels, divides size; width: channels; heads divides width; conditions: the vector
    conditions of the decoder, and their lengths; guide: whether a guide image is one; few_steps: number of Euler steps
    without guidance that it was distilled for (`training.distillation`), 0 = any number and sampler; languages: ISO
    codes, in the order of the condition "language"; noise: standard deviation of the noise mixed with pictures, see
    `noise_for`; linear_size: pixels of the linear face, 0 = size."""

    size: int = 64
    patch: int = 8
    width: int = 256
    depth: int = 8
    heads: int = 4
    refine: int = 16  # channels of the last convolutions
    conditions: dict[str, int] = field(default_factory=lambda: {"identity": 128, "coverage": 1})
    guide: bool = False
    few_steps: int = 0
    languages: tuple[str, ...] = ()
    noise: float = 1.0
    linear_size: int = 0


ALL_CONDITIONS = {
    "identity": 128,
    "coverage": 1,  # share of the crop inside its picture, see `face.align.coverage`
    "sharpness": 1,  # relative to the decoder's size, see `face.align.sharpness`
    "voice": 256,  # from Resemblyzer
    "age": 1,  # years
    "gender": 1,  # probability of "female"
    "ethnicity": 5,  # probabilities, in the order of types.ETHNICITIES
}
"""In addition, "voice:NAME" for every other speaker encoder, with its length, and "language", one number per
language."""


ASKED = {"coverage": 1.0, "sharpness": 0.0}
"""What every picture is asked to be, if the decoder knows these conditions: complete, and as sharp as its pixels
allow."""


def asked(config: DecoderConfig) -> dict[str, float]:
    """Those of `ASKED` that a decoder knows. Their scale is that of the values themselves, not of the training faces:
    the value asked for may be far from all of them."""
    return {name: value for name, value in ASKED.items() if name in config.conditions}


LINEAR_SIZE = 64  # pixels, at most: a linear map can only predict soft faces, so a larger one would only take space


def noise_for(size: int) -> float:
    """The standard deviation of the noise for pictures of a size: 1 at 64 px, 2 at 128.

    Through the same noise, a picture twice as wide shows twice as much, because four pixels together carry what one
    did. If the noise grows with the picture, it hides as much of it at every time t, so times, steps and guidance
    remain as at 64 px (Hoogeboom et al. 2023, arXiv:2301.11093, section 3.1; Li & He 2025, arXiv:2511.13720, do
    likewise).
    """
    return max(1.0, size / 64)


def voice_condition(name: str) -> str:
    """The name of the decoder condition for the output of a speaker encoder, or for "acoustics"."""
    return "voice" if name == "resemblyzer" else f"voice:{name.replace('.', '_')}"  # no dots in names of parameters


def one_hot(languages: Sequence[str], code: str) -> list[float]:
    """The condition "language" for a decoder with these languages."""
    return [float(language == code) for language in languages]


class Decoder(nn.Module):
    """(z, t, conditions) to the predicted clean image, all in normalised pixels (see `normalise`).

    z: (n, 3, size, size) noisy image; t: (n,) in [0, 1], 0 = pure noise, 1 = clean; conditions: vectors by the names
    of the configuration, and "guide", (n, 3, size, size) in normalised pixels.
    """

    image_mean: Tensor
    image_std: Tensor
    linear_face: Tensor

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        width, patch = config.width, config.patch
        self.side = config.size // patch
        self.register_buffer("image_mean", torch.zeros(3, config.size, config.size))
        self.register_buffer("image_std", torch.tensor(0.5))
        self.linear_size = config.linear_size or config.size
        self.register_buffer("linear_face", torch.zeros(config.conditions["identity"], 3 * self.linear_size**2))
        self.conditioning = Conditioning(config.conditions, width)
        self.embed = nn.Linear(3 * patch * patch, width)
        self.embed_linear = nn.Linear(3 * patch * patch, width, bias=False)
        self.embed_guide = nn.Linear(3 * patch * patch, width, bias=False) if config.guide else None
        self.position = nn.Parameter(0.02 * torch.randn(self.side**2, width))
        self.modulation = nn.Linear(width, 6 * width)  # shared by all blocks, each adds its own offset
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.depth))
        self.final_modulation = nn.Linear(width, 2 * width)
        self.unembed = nn.Linear(width, (3 + config.refine) * patch * patch)
        last = nn.Conv2d(config.refine, 3, 3, padding=1)
        self.refine = nn.Sequential(nn.Conv2d(6 + config.refine, config.refine, 3, padding=1), nn.SiLU(), last)
        layers: tuple[nn.Linear | nn.Conv2d, ...] = (self.modulation, self.final_modulation, self.embed_linear, last)
        for layer in (*layers, *([self.embed_guide] if self.embed_guide else [])):
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.unembed.weight, std=0.02)
        nn.init.zeros_(self.unembed.bias)

    def forward(self, z: Tensor, t: Tensor, conditions: Conditions) -> Tensor:
        cond = self.conditioning(t, conditions)
        shared = self.modulation(cond)
        linear = self.linear(conditions)
        x = self.embed(self._patches(z)) + self.position
        if linear is not None:
            x = x + self.embed_linear(self._patches(linear))
        if self.embed_guide is not None and "guide" in conditions:
            guide = conditions["guide"]
            x = x + self.embed_guide(self._patches(guide.value * guide.given[:, None, None, None]))
        for block in self.blocks:
            x = block(x, shared)
        shift, scale = self.final_modulation(cond)[:, None].chunk(2, dim=-1)
        x = self._image(self.unembed(norm(x) * (1 + scale) + shift))
        x = x[:, :3] + self.refine(torch.cat([x, z.to(x.dtype)], dim=1))
        return x if linear is None else x + linear_share(t, self.config.noise)[:, None, None, None] * linear

    def linear(self, conditions: Conditions) -> Tensor | None:
        """The linear face of each row, (n, 3, size, size) in normalised pixels, 0 if no identity is given."""
        if "identity" not in conditions:
            return None
        identity = conditions["identity"]
        standard = self.conditioning.standardise("identity", identity.value) * identity.given[:, None]
        face = (standard @ self.linear_face).unflatten(1, (3, self.linear_size, self.linear_size))
        if self.linear_size == self.config.size:
            return face
        return F.interpolate(face, self.config.size, mode="bilinear", align_corners=False)

    def normalise(self, image: Tensor) -> Tensor:
        """Pixels in [-1, 1] to the model's scale: difference from the mean face, unit spread."""
        return (image - self.image_mean) / self.image_std

    def denormalise(self, x: Tensor) -> Tensor:
        """Inverse of `normalise`, clipped to [-1, 1]."""
        return (x * self.image_std + self.image_mean).clamp(-1, 1)

    def _patches(self, z: Tensor) -> Tensor:
        """(n, c, size, size) to (n, side², c patch²)."""
        side, patch = self.side, self.config.patch
        split = z.unflatten(3, (side, patch)).unflatten(2, (side, patch))  # (n, c, side, patch, side, patch)
        return split.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def _image(self, tokens: Tensor) -> Tensor:
        """(n, side², c patch²) to (n, c, size, size)."""
        return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (self.side, self.side)), self.config.patch)


def linear_share(t: Tensor, noise: float = 1.0) -> Tensor:
    """How much of a prior guess m survives seeing z_t: (n,) in [0, 1].

    If x ~ N(m, I) and ε ~ N(0, σ² I), then E[x | z_t] = a(t) m + b(t) z_t with a(t) = σ² (1 − t)² / (t² + σ² (1 − t)²).
    """
    hidden = (noise * (1 - t)) ** 2
    return hidden / (t**2 + hidden)


def norm(x: Tensor) -> Tensor:
    """Root-mean-square norm over channels without weights (Zhang & Sennrich 2019, arXiv:1910.07467)."""
    return F.rms_norm(x, (x.shape[-1],))


class Block(nn.Module):
    """Attention with normalised queries and keys, then SwiGLU; both modulated by the condition (adaLN-zero; Peebles &
    Xie 2023, arXiv:2212.09748), with the modulation shared by all blocks as in PixArt-α (arXiv:2310.00426)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        hidden = int(width * 8 / 3) // 8 * 8
        self.offset = nn.Parameter(torch.zeros(6 * width))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = (shared + self.offset)[:, None].chunk(6, dim=-1)
        x = x + gate1 * self._attention(norm(x) * (1 + scale1) + shift1)
        gate, value = self.up(norm(x) * (1 + scale2) + shift2).chunk(2, dim=-1)
        return x + gate2 * self.down(F.silu(gate) * value)

    def _attention(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(norm(q), norm(k), v).transpose(1, 2).flatten(2))
