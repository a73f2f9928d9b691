"""A decoder that goes on from an older one, and learns more conditions than that."""

from __future__ import annotations

from dataclasses import replace

import torch

from ds2f.errors import UserError
from ds2f.models.decoder import Decoder, DecoderConfig


def extended(config: DecoderConfig, old: DecoderConfig) -> DecoderConfig:
    """The configuration with all conditions of the older decoder, in its order: what the data says nothing of is
    not forgotten. The languages of the older one must be the first. Its noise and linear face stay what they were."""
    return replace(
        config,
        conditions={**old.conditions, **config.conditions},
        guide=config.guide or old.guide,
        noise=old.noise,
        linear_size=old.linear_size,
    )


@torch.no_grad()
def warm_start(model: Decoder, old: Decoder) -> None:
    """Take over the weights, mean face and statistics of an older decoder that `model` is an extension of.

    What is new starts without effect: until it learns, the decoder draws as the old one did, whatever its new
    conditions are. Raises UserError if the two have another shape.
    """
    known = old.config.conditions
    for name, project in model.conditioning.project.items():
        if name not in known or name == "language":  # of which only new ones are left at zero
            for parameter in project.parameters():
                parameter.zero_()
    mine = model.state_dict()
    for name, value in old.state_dict().items():
        target = mine.get(name)
        if target is not None and _of_languages(name):
            target = target[..., : value.shape[-1]]
        if target is None or target.shape != value.shape:
            raise UserError(
                f"[train] decoder_from has another shape of decoder ({name} does not fit); it needs the same "
                "decoder_size, decoder_patch, decoder_width and decoder_depth."
            )
        target.copy_(value)


def _of_languages(name: str) -> bool:
    """Whether the last dimension of a tensor counts the languages."""
    return name.startswith("conditioning.language_") or name == "conditioning.project.language.weight"
