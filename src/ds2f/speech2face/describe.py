"""What a voice says of its speaker, and how sure that is: pitch and rate measured, age and gender as distributions.

Age and gender are not read off the voice by a classifier of their own. They are those of the people that the prior
imagines for the voice: many identities are drawn from p(identity | voice), the attribute head judges each, and the
mean of its answers is

    p(age, gender | voice) = E over identity ~ p(identity | voice) of p(age, gender | identity)

so that what is shown is what drawing goes by. Ethnicity is left out on purpose: nothing here infers it from a voice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ds2f.io.extras import installed
from ds2f.models.ages import decades
from ds2f.types import AGE_BINS, GENDERS, Speech
from ds2f.voice import acoustics

PEOPLE = 256  # drawn for a description; the standard error of a probability is then under 0.03

Imagine = Callable[[np.ndarray], np.ndarray]
"""PEOPLE identities that a voice, (d,), might have, with the seeds from 0 and the whole variety of the prior:
(PEOPLE, identity_dim)."""
Judge = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""n identities to {"age": (n, MAX_AGE + 1), "gender": (n, 2)} probabilities."""


@dataclass(frozen=True)
class Belief:
    """A distribution over names, and the one held before anything was heard. Both sum to 1."""

    probabilities: Mapping[str, float]
    before: Mapping[str, float]

    @property
    def likeliest(self) -> str:
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def sure(self) -> float:
        """Probability of the likeliest, in [0, 1]."""
        return self.probabilities[self.likeliest]

    @property
    def bits(self) -> float:
        """What hearing the voice has taught: D(p || before) = Σ p log₂(p / before); 0 = nothing."""
        pairs = ((p, self.before[name]) for name, p in self.probabilities.items())
        return max(0.0, sum(p * math.log2(p / max(q, 1e-12)) for p, q in pairs if p > 0))


@dataclass(frozen=True)
class VoiceDescription:
    """See the top of this file.

    speech_seconds: real speech found; pitch: median F0 in Hz, and its spread in semitones; rate: syllables per second
    of speech; these three are None where they cannot be measured or the extra `acoustics` is not installed.
    age: by decade, keys AGE_BINS; age_years: the 10th, 50th and 90th percentile; gender: keys GENDERS.
    determined: how much of a face this voice settles, in [0, 1]: the squared distance that it moves the expected
    identity from the average one, as a share of that and of the variance it leaves open.
    """

    speech_seconds: float
    pitch: float | None
    pitch_spread: float | None
    rate: float | None
    age: Belief
    age_years: tuple[float, float, float]
    gender: Belief
    determined: float

    def __str__(self) -> str:
        low, middle, high = self.age_years
        lines = [f"speech      {self.speech_seconds:.1f} s"]
        if self.pitch is not None:
            lines.append(f"pitch       {self.pitch:.0f} Hz, spread {self.pitch_spread or 0:.1f} semitones")
        if self.rate is not None:
            lines.append(f"rate        {self.rate:.1f} syllables/s")
        genders = ", ".join(f"{name} {100 * p:.0f} %" for name, p in self.gender.probabilities.items())
        lines.append(f"gender      {genders}; {self.gender.bits:.1f} bits of it from the voice")
        years = f"about {middle:.0f} years; 80 % between {low:.0f} and {high:.0f}"
        lines.append(f"age         {years}; {self.age.bits:.1f} bits of it from the voice")
        lines.append(f"determined  {100 * self.determined:.0f} % of the face; the rest is imagined")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """By which a notebook shows it: the same, and the two distributions as bars."""
        rows = [line.split(None, 1) for line in str(self).splitlines()]
        said = "".join(f"<tr><th style='text-align:left'>{name}</th><td>{text}</td></tr>" for name, text in rows)
        return f"<table>{said}</table>{_bars('gender', self.gender)}{_bars('age', self.age)}"


def _bars(title: str, belief: Belief) -> str:
    rows = "".join(
        f"<tr><td style='text-align:right'>{name}</td><td style='text-align:left;min-width:220px'>"
        f"<span style='display:inline-block;height:.8em;width:{2 * 100 * p:.0f}px;background:#3d5a98'></span>"
        f" {100 * p:.0f} %</td></tr>"
        for name, p in belief.probabilities.items()
    )
    return f"<table><caption>{title}</caption>{rows}</table>"


class Describer:
    """Describes voices by the people whom a prior draws for them, and what an attribute head says of those."""

    def __init__(self, imagine: Imagine, judge: Judge, average: tuple[np.ndarray, np.ndarray]) -> None:
        """imagine, judge: see there; average: the mean voice, (d,), and the mean identity, (identity_dim,)."""
        self.imagine, self.judge = imagine, judge
        self.mean_voice, self.mean_identity = average

    def describe(self, speech: Speech, voice: np.ndarray) -> VoiceDescription:
        """speech: what was said, for pitch and rate; voice: (d,), as the prior hears it."""
        pitch, spread, rate = _acoustics(speech)
        people, unheard = self.imagine(voice), self._unheard
        heard = self.judge(people)
        moved = float(np.square(people.mean(0) - self.mean_identity).sum())
        left = float(people.var(0).sum())
        return VoiceDescription(
            speech_seconds=speech.seconds,
            pitch=pitch,
            pitch_spread=spread,
            rate=rate,
            age=Belief(_named(AGE_BINS, decades(heard["age"])), _named(AGE_BINS, decades(unheard["age"]))),
            age_years=_percentiles(heard["age"].mean(0)),
            gender=Belief(_named(GENDERS, heard["gender"]), _named(GENDERS, unheard["gender"])),
            determined=moved / (moved + left),
        )

    @cached_property
    def _unheard(self) -> Mapping[str, np.ndarray]:
        """What is believed of a speaker before anything is heard."""
        return self.judge(self.imagine(self.mean_voice))


def _named(names: tuple[str, ...], probabilities: np.ndarray) -> dict[str, float]:
    return dict(zip(names, probabilities.mean(0).tolist(), strict=True))


def _percentiles(years: np.ndarray) -> tuple[float, float, float]:
    """Ages under which 10, 50 and 90 % of (MAX_AGE + 1,) probabilities lie."""
    below = years.cumsum()
    low, middle, high = (float(np.searchsorted(below, share)) for share in (0.1, 0.5, 0.9))
    return low, middle, high


def _acoustics(speech: Speech) -> tuple[float | None, float | None, float | None]:
    if not installed("parselmouth"):
        return None, None, None
    found = acoustics.measure(speech.audio)
    names = ("f0_median_hz", "f0_spread_semitones", "speaking_rate_per_s")
    pitch, spread, rate = (found[name] if math.isfinite(found[name]) else None for name in names)
    return pitch, spread, rate
