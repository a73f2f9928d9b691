"""What a voice says about its speaker, and how certain that is: measured pitch and rate, age and gender as
distributions.

Age and gender are not predicted from the voice by a classifier of their own. They are those of the people that the
prior imagines for the voice: many identities are sampled from p(identity | voice), the attribute head judges each, and
the mean of its answers is

    p(age, gender | voice) = E over identity ~ p(identity | voice) of p(age, gender | identity)

so what is shown is what drawing goes by. Ethnicity is left out on purpose: nothing here infers it from a voice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ds2f.io.extras import installed
from ds2f.models.ages import decades
from ds2f.types import AGE_BINS, GENDERS, Excerpt, Speech
from ds2f.voice import acoustics

PEOPLE = 256  # sampled per description; the standard error of a probability is then below 0.03

Imagine = Callable[[np.ndarray], np.ndarray]
"""PEOPLE identities that a voice, (d,), might have, sampled with seeds from 0 and all of the prior's variety: (PEOPLE,
identity_dim)."""
Judge = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Maps n identities to {"age": (n, MAX_AGE + 1), "gender": (n, 2)} probabilities."""


@dataclass(frozen=True)
class Belief:
    """A distribution over names, and the one assumed before hearing the voice. Both sum to 1."""

    probabilities: Mapping[str, float]
    before: Mapping[str, float]

    @property
    def likeliest(self) -> str:
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def sure(self) -> float:
        """Probability of the most likely name, in [0, 1]."""
        return self.probabilities[self.likeliest]

    @property
    def bits(self) -> float:
        """Information gained from the voice: D(p || before) = Σ p log₂(p / before); 0 = none."""
        pairs = ((p, self.before[name]) for name, p in self.probabilities.items())
        return max(0.0, sum(p * math.log2(p / max(q, 1e-12)) for p, q in pairs if p > 0))


@dataclass(frozen=True)
class VoiceDescription:
    """What a voice says about its speaker; see the top of this file.

    speech_seconds: actual speech found.
    part: where, in a long recording; None if all of it was heard.
    pitch, pitch_spread, rate: median F0 in Hz, its spread in semitones, and syllables per second of speech; None where
        they cannot be measured or the extra `acoustics` is not installed.
    age: by decade, with the keys AGE_BINS.
    age_years: the 10th, 50th and 90th percentiles.
    gender: with the keys GENDERS.
    determined: how much of a face this voice determines, in [0, 1]: the squared distance by which it moves the expected
        identity away from the average, as a share of that plus the variance it leaves open.
    """

    speech_seconds: float
    pitch: float | None
    pitch_spread: float | None
    rate: float | None
    age: Belief
    age_years: tuple[float, float, float]
    gender: Belief
    determined: float
    part: Excerpt | None = None

    def __str__(self) -> str:
        low, middle, high = self.age_years
        lines = [f"speech      {self.speech_seconds:.1f} s" + (f", heard {self.part}" if self.part else "")]
        if self.pitch is not None:
            lines.append(f"pitch       {self.pitch:.0f} Hz, spread {self.pitch_spread or 0:.1f} semitones")
        if self.rate is not None:
            lines.append(f"rate        {self.rate:.1f} syllables/s")
        genders = ", ".join(f"{name} {100 * p:.0f} %" for name, p in self.gender.probabilities.items())
        lines.append(f"gender      {genders}; {self.gender.bits:.1f} bits of this are heard")
        years = f"about {middle:.0f} years; 80 % between {low:.0f} and {high:.0f}"
        lines.append(f"age         {years}; {self.age.bits:.1f} bits of this are heard")
        lines.append(f"determined  {100 * self.determined:.0f} % of the face; the rest is imagined")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """How a notebook shows it: the same text, and the two distributions as bars."""
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
    """Describes voices by the people whom a prior samples for them, and what an attribute head says about those
    people."""

    def __init__(self, imagine: Imagine, judge: Judge, average: tuple[np.ndarray, np.ndarray]) -> None:
        """imagine, judge: see the types of these names; average: the mean voice, (d,), and the mean identity,
        (identity_dim,)."""
        self.imagine, self.judge = imagine, judge
        self.mean_voice, self.mean_identity = average

    def describe(self, speech: Speech, voice: np.ndarray) -> VoiceDescription:
        """speech: what was said, for pitch and rate; voice: (d,), as the prior takes it."""
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
            part=speech.part,
        )

    @cached_property
    def _unheard(self) -> Mapping[str, np.ndarray]:
        """What is assumed about a speaker before anything is heard."""
        return self.judge(self.imagine(self.mean_voice))


def _named(names: tuple[str, ...], probabilities: np.ndarray) -> dict[str, float]:
    return dict(zip(names, probabilities.mean(0).tolist(), strict=True))


def _percentiles(years: np.ndarray) -> tuple[float, float, float]:
    """The ages below which 10, 50 and 90 % of (MAX_AGE + 1,) probabilities lie."""
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
