"""How faces are drawn: the dials of the sampler, and what they may be set to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ds2f._renamed import old_names
from ds2f.config import Generate, Numbers
from ds2f.diffusion.weights import Guidance
from ds2f.errors import UserError

GUIDED = ("identity", "voice", "age", "gender", "ethnicity", "language", "guide")
"""The conditions that guidance may weigh; and "voice:NAME", a further speaker encoder by itself."""
INTERVAL = (0.1, 0.7)
"""Times at which it acts. Elsewhere it costs variety and brings nothing: with the interval two faces drawn of one
identity lie 0.36 apart, without it 0.30, and they are as like (benchmarks/sampling.py)."""
_DEFAULT = Generate()  # the one home of all defaults: what ds2f.toml says where it says nothing


@dataclass(frozen=True)
class SamplingSettings:
    """How faces are drawn. Defaults are those of [generate] in ds2f.toml.

    steps: sampler steps.
    guidance: 1 = none; one weight for all conditions but the guide, which has 1, or {condition: weight} for those of
        GUIDED, where "voice" means what carries it and those left out keep the default.
    voice_guidance: how far the identity goes the way the voice points, see `Speech2Face.sample_identities`.
    temperature: in [0, 1]: 0 the most typical person for the voice, 1 all variety that `voice_guidance` leaves
        room for.
    noise: in [0, 1]: scale of the noise that the decoder starts from, below 1 calmer and more typical pictures.
    light: in [0, 1]: how much light and tint depend on the seed, see `diffusion.plain.damp_low_frequencies`; 1 = as
        the decoder learnt from photographs, in which they belong to the day more than to the person.
    direct: condition the decoder on the voice itself, and leave the prior out.
    sampler: of `diffusion.samplers.SAMPLERS`.
    fast: where the model has a fast decoder, let that one draw, in the few steps and with the guidance that it was
        taught; but not where steps, sampler or guidance are other than these.
    watermark: whether the picture gets the mark that `ds2f check` finds, see `io.watermark`.
    precision: "auto" draws by the graph of the fast decoder where the model has one and a CPU draws, with products
        in whole numbers of 8 bits unless it was exported otherwise; "float32" by PyTorch.
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
    """Those of [generate]. Raises UserError for settings that nothing can be drawn with."""
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
    """Whether a fast decoder can draw so: it was taught one way of taking steps."""
    same = (settings.steps, settings.sampler) == (DEFAULT.steps, DEFAULT.sampler)
    return settings.fast and same and guidance_of(settings) == guidance_of(DEFAULT)


def check(settings: SamplingSettings, count: int = 1) -> None:
    """Raises UserError for settings that nothing can be drawn with."""
    guidance = settings.guidance
    weights = dict(guidance) if isinstance(guidance, Mapping) else {"voice": guidance}
    if unknown := [name for name in weights if name not in GUIDED and not name.startswith("voice:")]:
        raise UserError(f"There is no guidance of {unknown[0]!r}; the conditions are {', '.join(GUIDED)}.")
    given = {f.name: getattr(settings, f.name) for f in fields(settings)}
    for weight in weights.values() or [_DEFAULT.guidance]:
        Generate(**{**given, "guidance": weight, "count": count})  # refuses what ds2f.toml would be refused


def guidance_of(settings: SamplingSettings) -> Guidance:
    """The weights as the decoder's guidance takes them."""
    chosen, of_guide = settings.guidance, {"guide": _DEFAULT.guide_guidance}
    if not isinstance(chosen, Mapping):
        return Guidance(chosen, of_guide, *INTERVAL)
    weights = {**of_guide, **chosen}
    if "voice" in weights:
        weights.setdefault("identity", weights["voice"])
    return Guidance(_DEFAULT.guidance, weights, *INTERVAL)


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
