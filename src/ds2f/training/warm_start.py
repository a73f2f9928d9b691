"""A decoder that goes on from an older one, and learns more conditions than that, or larger pictures."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ds2f.errors import UserError
from ds2f.models.decoder import Decoder, DecoderConfig


def extended(config: DecoderConfig, old: DecoderConfig) -> DecoderConfig:
    """The configuration with all conditions of the older decoder, in its order: what the data says nothing of is
    not forgotten. The languages of the older one must be the first. Its noise and linear face stay what they were; for
    larger pictures the noise grows with them, see `models.decoder.noise_for`."""
    return replace(
        config,
        conditions={**old.conditions, **config.conditions},
        guide=config.guide or old.guide,
        noise=old.noise * config.size / old.size,
        linear_size=old.linear_size or old.size,
    )


@torch.no_grad()
def warm_start(model: Decoder, old: Decoder) -> None:
    """Take over the weights, mean face and statistics of an older decoder that `model` is an extension of.

    What is new starts without effect: until it learns, the decoder draws as the old one did, whatever its new
    conditions are. For pictures k times as wide, in patches k times as wide, see `enlarged`. Raises UserError if the
    two have another shape.
    """
    known = old.config.conditions
    for name, project in model.conditioning.project.items():
        if name not in known or name == "language":  # of which only new ones are left at zero
            for parameter in project.parameters():
                parameter.zero_()
    mine, times = model.state_dict(), model.config.size / old.config.size
    larger = times in (2, 4) and model.config.patch == times * old.config.patch
    for name, value in old.state_dict().items():
        if larger:
            value = enlarged(name, value, old.config.patch, int(times))
        target = mine.get(name)
        if target is not None and _of_languages(name):
            target = target[..., : value.shape[-1]]
        if target is None or target.shape != value.shape:
            raise UserError(
                f"[train] decoder_from has another shape of decoder ({name} does not fit); it needs the same "
                "decoder_width and decoder_depth, and the same decoder_size and decoder_patch, or both two or four "
                "times as large."
            )
        target.copy_(value)


def enlarged(name: str, value: Tensor, patch: int, times: int) -> Tensor:
    """A weight of a decoder, for pictures and patches `times` as wide: what goes in is averaged over the new pixels of
    an old one, and all of them get what comes out for it.

        E′[·, c, i, j] = E[·, c, ⌊i/k⌋, ⌊j/k⌋] / k²,   U′[c, i, j, ·] = U[c, ⌊i/k⌋, ⌊j/k⌋, ·]

    With noise k times as strong the average of a pixel's noise is as strong as before, so the network sees at every
    time what it has learnt to see, and draws the old picture enlarged. The last convolutions are taken as they are.

    name: in `Decoder.state_dict`. value: of the old decoder. patch: pixels of its patches. times: k.
    """
    if name == "image_mean":
        return F.interpolate(value[None], scale_factor=times, mode="bilinear", align_corners=False)[0]
    if name.startswith("embed") and name.endswith("weight"):
        return _repeated(value.unflatten(1, (-1, patch, patch)), times, 2).flatten(1) / times**2
    if name.startswith("unembed"):
        return _repeated(value.unflatten(0, (-1, patch, patch)), times, 1).flatten(0, 2)
    return value


def _repeated(value: Tensor, times: int, axis: int) -> Tensor:
    return value.repeat_interleave(times, axis).repeat_interleave(times, axis + 1)


def _of_languages(name: str) -> bool:
    """Whether the last dimension of a tensor counts the languages."""
    return name.startswith("conditioning.language_") or name == "conditioning.project.language.weight"
