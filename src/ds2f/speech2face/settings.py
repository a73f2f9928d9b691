"""How faces are drawn: the sampling settings and their allowed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from ds2f._renamed import old_names
from ds2f.config import Generate, Numbers
from ds2f.diffusion.weights import Guidance
from ds2f.errors import UserError

GUIDED = ("identity", "voice", "age", "gender", "ethnicity", "language", "guide")
"""The conditions that guidance can weight; also "voice:NAME", a further speaker encoder on its own."""
INTERVAL = (0.1, 0.7)
"""The times during which guidance acts. Outside this interval it costs variety and gains nothing: with the interval,
two faces drawn from one identity are 0.36 apart, without it 0.30, and the likeness is the same
(benchmarks/sampling.py)."""
_DEFAULT = Generate()  # the only source of defaults: those of ds2f.toml


@dataclass(frozen=True)
class SamplingSettings:
    """How faces are drawn. Defaults are those of [generate] in ds2f.toml.

    steps: sampler steps.
    guidance: 1 = none; one weight for all conditions except the guide, whose weight is 1, or {condition: weight} for
        those of GUIDED, where "voice" means whatever carries the voice, and conditions left out keep the default.
    voice_guidance: how far the identity goes in the direction of the voice, see `Speech2Face.sample_identities`.
    temperature: in [0, 1]: 0 the most typical person for the voice, 1 all the variety that `voice_guidance` leaves room
        for.
    noise: in [0, 1]: scale of the noise that the decoder starts from; below 1, pictures are calmer and more typical.
    light: in [0, 1]: how much light and tint depend on the seed, see `diffusion.plain.damp_low_frequencies`; 1 = as
        much as in the photographs that the decoder learnt from, where they depend on the day more than on the person.
    direct: condition the decoder on the voice itself, bypassing the prior.
    sampler: one of `diffusion.samplers.SAMPLERS`.
    fast: use the model's fast decoder if it has one, with the few steps and the guidance it was distilled for; not used
        if steps, sampler or guidance differ from the defaults.
    watermark: whether the picture gets the mark that `ds2f check` finds, see `io.watermark`.
    precision: "auto" draws by the graph of the fast decoder if the model has one and runs on a CPU, with products in
        8-bit integers unless it was exported otherwise; "float32" draws by PyTorch.
    """

    steps: int = _DEFAULT.steps
    guidance: float | Mapping[str, float] = _DEFAULT.guidance
    voice_guidance: float = _DEFAULT.voice_guidance
    temperature: float = _DEFAULT.temperature
    noise: float = _DEFAULT.noise
    light: float = _DEFAULT.light
    direct: bool = _DEFAULT.direct
    sampler: str = _DEFAULT.sampler
    fast: bool = _DEFAULT.fast
    watermark: bool = _DEFAULT.watermark
    precision: Numbers = _DEFAULT.precision


DEFAULT = SamplingSettings()


def settings_of(chosen: Generate) -> SamplingSettings:
    """The settings of [generate]. Raises UserError for invalid settings."""
    guidance: float | Mapping[str, float] = chosen.guidance
    if chosen.guide_guidance != _DEFAULT.guide_guidance:
        guidance = {**dict.fromkeys(GUIDED[1:], chosen.guidance), "guide": chosen.guide_guidance}
    settings = SamplingSettings(
        steps=chosen.steps,
        guidance=guidance,
        voice_guidance=chosen.voice_guidance,
        temperature=chosen.temperature,
        noise=chosen.noise,
        light=chosen.light,
        direct=chosen.direct,
        sampler=chosen.sampler,
        fast=chosen.fast,
        watermark=chosen.watermark,
        precision=chosen.precision,
    )
    check(settings, chosen.count)
    return settings


def fits_fast_decoder(settings: SamplingSettings) -> bool:
    """Whether a fast decoder can draw with these settings; it was distilled for one way of sampling."""
    same = (settings.steps, settings.sampler) == (DEFAULT.steps, DEFAULT.sampler)
    return settings.fast and same and guidance_of(settings) == guidance_of(DEFAULT)


def fast_way(settings: SamplingSettings) -> SamplingSettings:
    """The same settings with the steps that the fast decoder stands in for."""
    return replace(settings, fast=True, steps=DEFAULT.steps)


def check(settings: SamplingSettings, count: int = 1) -> None:
    """Raise UserError for invalid settings."""
    guidance = settings.guidance
    weights = dict(guidance) if isinstance(guidance, Mapping) else {"voice": guidance}
    if unknown := [name for name in weights if name not in GUIDED and not name.startswith("voice:")]:
        raise UserError(f"There is no guidance of {unknown[0]!r}; the conditions are {', '.join(GUIDED)}.")
    given = {f.name: getattr(settings, f.name) for f in fields(settings)}
    for weight in weights.values() or [_DEFAULT.guidance]:
        Generate(**{**given, "guidance": weight, "count": count})  # rejects what ds2f.toml would reject


def guidance_of(settings: SamplingSettings) -> Guidance:
    """The weights in the form that the decoder's guidance takes."""
    chosen, of_guide = settings.guidance, {"guide": _DEFAULT.guide_guidance}
    if not isinstance(chosen, Mapping):
        return Guidance(chosen, of_guide, *INTERVAL)
    weights = {**of_guide, **chosen}
    if "voice" in weights:
        weights.setdefault("identity", weights["voice"])
    return Guidance(_DEFAULT.guidance, weights, *INTERVAL)


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
