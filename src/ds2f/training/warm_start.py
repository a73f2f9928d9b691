"""Starts a decoder from an older one, to learn further conditions or larger pictures; carries over to it what else an
older model has, its fast decoder and super-resolution; and freezes parts of networks that are trained further."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.errors import UserError
from ds2f.models import folders, store
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.super_resolution import SuperResolution

UNTOUCHED = ("prior", "attributes", "alignment")  # models that know nothing of the decoder


def extended(config: DecoderConfig, old: DecoderConfig) -> DecoderConfig:
    """The configuration with all conditions of the older decoder, in its order, so that conditions missing from the
    data are not forgotten. The languages of the older one must come first. Its noise and linear face do not change; for
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
    """Copy the weights, mean face and statistics of an older decoder that `model` extends.

    New parts are initialised to have no effect: until they learn, the decoder draws as the old one did, whatever its
    new conditions are. For pictures k times as wide, in patches k times as wide, see `enlarged`. Raises UserError if
    the shapes are otherwise incompatible.
    """
    known = old.config.conditions
    for name, project in model.conditioning.project.items():
        if name not in known or name == "language":  # for this, only new weights remain at zero
            for parameter in project.parameters():
                parameter.zero_()
    for target, value in _matched(model, old, old.state_dict(), "decoder_from"):
        target.copy_(value)


def student_of(teacher: Decoder, steps: int) -> Decoder:
    """A fast decoder that is still a copy of its teacher. steps: that it will draw in."""
    student = Decoder(replace(teacher.config, few_steps=steps))
    student.load_state_dict(teacher.state_dict())
    return student


@torch.no_grad()
def start_fast(student: Decoder, old: Decoder, old_fast: Decoder, frozen: Sequence[str] = ()) -> None:
    """Add to a student, a copy of its teacher, what distillation changed in an older decoder that the teacher descends
    from:

        θ = θ_teacher + (θ_old fast − θ_old)

    Such differences carry over to descendants of a model, with no or little further training (Ilharco et al. 2022,
    arXiv:2212.04089; for distilled samplers Luo et al. 2023, arXiv:2311.05556). For larger pictures see `enlarged`.
    frozen: parts of it that remain the teacher's, see `freeze`.
    Raises UserError if the shapes are incompatible.
    """
    before, kept = old.state_dict(), tuple(f"{part}." for part in frozen)
    change = {k: value - before[k] for k, value in old_fast.state_dict().items() if not k.startswith(kept)}
    for target, value in _matched(student, old, change, "fast_from"):
        target.add_(value)


def _matched(model: Decoder, old: Decoder, weights: dict[str, Tensor], key: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Each tensor of a model together with its counterpart among `weights`, which have the shapes of `old`, enlarged if
    need be. key: the setting to blame."""
    mine, times = model.state_dict(), model.config.size / old.config.size
    larger = times in (2, 4) and model.config.patch == times * old.config.patch
    for name, value in weights.items():
        if larger:
            value = enlarged(name, value, old.config.patch, int(times))
        target = mine.get(name)
        if target is not None and _of_languages(name):
            target = target[..., : value.shape[-1]]
        if target is None or target.shape != value.shape:
            raise UserError(
                f"[train] {key} has another shape of decoder ({name} does not fit); it needs the same decoder_width "
                "and decoder_depth, and the same decoder_size and decoder_patch, or both two or four times as large."
            )
        yield target, value


def enlarged(name: str, value: Tensor, patch: int, times: int) -> Tensor:
    """A decoder weight for pictures and patches `times` as wide: inputs are averaged over the new pixels of an old one,
    and each of these receives the old output.

        E′[·, c, i, j] = E[·, c, ⌊i/k⌋, ⌊j/k⌋] / k²,   U′[c, i, j, ·] = U[c, ⌊i/k⌋, ⌊j/k⌋, ·]

    With noise k times as strong, the averaged noise of an old pixel has the same strength as before, so at every time
    the network sees what it was trained on, and draws the old picture enlarged. The last convolutions are copied
    unchanged.

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
    """Whether the last dimension of a tensor is the number of languages."""
    return name.startswith("conditioning.language_") or name == "conditioning.project.language.weight"


@torch.no_grad()
def start_super_resolution(network: SuperResolution, old: SuperResolution) -> None:
    """Start a network from another one. If that one doubled the size and this one keeps it, four pixels now tell what
    one did, on average, and what is added remains the same.

    Raises UserError if the networks' shapes differ otherwise.
    """
    mine, weights = network.state_dict(), old.state_dict()
    name, colours = "enter.weight", 3
    if network.config.factor < old.config.factor:
        pixels = (old.config.factor // network.config.factor) ** 2
        picture, noise = weights[name][:, :colours], weights[name][:, colours:]
        weights[name] = torch.cat([picture.repeat_interleave(pixels, 1) / pixels, noise], 1)
    if {key: value.shape for key, value in weights.items()} != {key: value.shape for key, value in mine.items()}:
        raise UserError("[train] sr_from has super-resolution of another shape; start without it.")
    network.load_state_dict(weights)


def carry_over(before: Path, folder: Path, frozen: Sequence[str] = ()) -> None:
    """Complete a model whose decoder descends from that of another: with its fast decoder, see `start_fast`, with its
    super-resolution if that made pictures of the new decoder's size, and with what does not depend on a decoder.

    before: folder of the older model; folder: of the new one; frozen: see `start_fast`.
    """
    decoder, old = store.load_decoder(folder), store.load_decoder(before)
    fast = store.load_fast_decoder(before)
    if fast is not None:
        student = student_of(decoder, fast.config.few_steps)
        start_fast(student, old, fast, frozen)
        store.save(folder, student, {"teacher": folders.digest(folder, "decoder"), "judges": folders.judges(folder)})
    if (before / f"{folders.SUPER_RESOLUTION}.json").exists():
        sharp = store.load_super_resolution(before)
        if sharp.config.size * sharp.config.factor == decoder.config.size:
            network = SuperResolution(replace(sharp.config, size=decoder.config.size, factor=1))
            start_super_resolution(network, sharp)
            store.save(folder, network, folders.description(before, folders.SUPER_RESOLUTION)["card"])
    for file in before.iterdir():
        if file.stem in UNTOUCHED:
            shutil.copyfile(file, folder / file.name)


def freeze(network: nn.Module, names: Sequence[str], what: str) -> list[nn.Module]:
    """Freeze parts of a network, such as "blocks.1", and return them. what: the setting that names them, and the
    network, for the error. Raises UserError for a part that does not exist."""
    parts = dict(network.named_modules())
    for name in names:
        if name not in parts:
            known = ", ".join(path for path, _ in network.named_children())
            raise UserError(f"[train] {what} has no part {name!r}; it has {known}, and what is in them, by its path.")
        parts[name].requires_grad_(False)
    return [parts[name] for name in names]
