"""The people imagined for a voice: identities sampled from the prior p(identity | voice), steered by wishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ds2f.diffusion.conditions import Condition
from ds2f.diffusion.flow import Predict
from ds2f.diffusion.guidance import steered
from ds2f.diffusion.noise import normal_by_seed, typical_first_by_seed
from ds2f.diffusion.samplers import heun
from ds2f.models.attributes import AttributeHead
from ds2f.models.looks import departure, directions, project_out
from ds2f.models.prior import Prior
from ds2f.types import Wish

PRIOR_STEPS = 16  # of Heun's method; the prior is tiny, and more steps change nothing visible
WISH_DEPARTURE = 1.5  # times the mean departure: a face is drawn slightly more average than its identity
WISH_STRENGTH = 4.0  # of a wished age, gender or ethnicity relative to the voice; 1 is Bayes' rule


@dataclass(frozen=True)
class Wished:
    """A wished age, gender or ethnicity, and the attribute head that predicts it from an identity."""

    head: AttributeHead
    wish: Wish

    def log_likelihood(self, identity: Tensor) -> Tensor:
        """log p(wish | identity): (n, d) to (n,)."""
        return self.head.log_likelihood(identity, self.wish)

    def around(self, centre: Tensor, within: Tensor) -> Tensor:
        """Where to look for people who match the wish, in place of `centre`, (n, d).

        What a voice says about the wished attributes is replaced by the appearance of people who have them; everything
        else it says stays. With the mean μ of labelled faces, their mean departure ℓ(wish) from it and the projection P
        of `models.looks.project_out`,

            μ + (centre − μ) P + s ℓ(wish),   s = WISH_DEPARTURE

        within: (d, d) covariance of people of one voice. A head without looks leaves this to steering alone.
        """
        looks = self.head.looks
        if looks is None:
            return centre
        given_way = project_out(centre - self.head.mean, within, directions(looks, self.wish))
        return self.head.mean + given_way + WISH_DEPARTURE * departure(looks, self.wish)


@torch.no_grad()
def sample_identities(
    prior: Prior,
    voices: np.ndarray,
    seeds: Sequence[int],
    temperature: float,
    voice_guidance: float = 1.0,
    wished: Wished | None = None,
    together: bool = False,
) -> np.ndarray:
    """One identity per voice: (n, identity_dim) float32.

    The identity expected for a voice, m(voice), lies near the average person m̄, because one voice fits many faces.
    Guidance extrapolates in the direction of the voice, as classifier-free guidance does, and samples around

        m̄ + w (m(voice) − m̄),   w = voice_guidance; 1 = the expectation itself

    with less variety the further w has moved people of different voices apart, see `Prior.left_open`.

    prior: p(identity | voice).
    voices: (n, d), as the prior's `inputs` give them.
    seeds: n whole numbers.
    temperature: in [0, 1], scale of the noise that the prior's flow starts from; 1 = all that guidance leaves room for.
    voice_guidance: w, at least 0.
    wished: attributes that people shall have whatever the voice says: it moves the centre of the distribution, see
        `Wished.around`, and steers the flow, see `diffusion.guidance.steered`. None: no wish. Variety across seeds is
        the same as without a wish, so it is likewise reduced in the directions that guidance has moved apart.
    together: whether the seeds 4k to 4k + 3 are shown together: the most typical person and three unlike others, see
        `diffusion.plain.typical_first`. False: independent samples.
    """
    device = prior.identity_mean.device
    voice = torch.from_numpy(np.asarray(voices, np.float32)).to(device)
    draw_noise = typical_first_by_seed if together else normal_by_seed
    noise = draw_noise(seeds, prior.config.identity_dim, stream=0, to=device)
    found: np.ndarray = around(prior, voice, noise, temperature, voice_guidance, wished).cpu().numpy()
    return found


def around(
    prior: Prior,
    voice: Tensor,
    noise: Tensor,
    temperature: float | Tensor,
    voice_guidance: float | Tensor,
    wished: Wished | None = None,
) -> Tensor:
    """`sample_identities` with noise already drawn, all as tensors.

    prior, temperature, voice_guidance, wished: see there.
    voice: (n, d).
    noise: (n, identity_dim), from N(0, 1).
    """
    return around_expected(
        prior, prior.predict_mean(voice), prior.identity_mean, noise, temperature, voice_guidance, wished
    )


def around_expected(
    prior: Prior,
    expected: Tensor,
    average: Tensor,
    noise: Tensor,
    temperature: float | Tensor,
    voice_guidance: float | Tensor,
    wished: Wished | None = None,
) -> Tensor:
    """`around`, given the identities expected for the voices by a linear map, the prior's or another.

    expected: (n, identity_dim).
    average: the map's average person, (identity_dim,) or (n, identity_dim).
    prior, noise, temperature, voice_guidance, wished: see there.
    """
    condition = Condition.of(expected)
    centre = average + voice_guidance * (expected - average)
    predict: Predict = lambda z, t: prior(z, t, condition)  # noqa: E731
    if wished is not None:
        centre = wished.around(centre, prior.colouring.T @ prior.colouring)
        predict = steered(predict, lambda x: wished.log_likelihood(centre + x @ prior.colouring), WISH_STRENGTH)
    start = temperature * prior.left_open(voice_guidance) * noise
    return centre + heun(predict, start, PRIOR_STEPS) @ prior.colouring
