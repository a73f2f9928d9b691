"""Whom a voice lets one imagine: identities drawn from the prior p(identity | voice), bent by what is wished for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ds2f.diffusion.conditions import Condition
from ds2f.diffusion.flow import Predict
from ds2f.diffusion.guidance import steered
from ds2f.diffusion.noise import normal_by_seed
from ds2f.diffusion.samplers import heun
from ds2f.models.prior import Prior

PRIOR_STEPS = 16  # of Heun's method; the prior is tiny, more changes nothing visible
WISH_STRENGTH = 4.0  # of a wished age, gender or ethnicity against the voice; 1 is Bayes' rule


@torch.no_grad()
def sample_identities(
    prior: Prior,
    voices: np.ndarray,
    seeds: Sequence[int],
    temperature: float,
    voice_guidance: float = 1.0,
    log_likelihood: Callable[[Tensor], Tensor] | None = None,
) -> np.ndarray:
    """One identity for each voice: (n, identity_dim) float32.

    What a voice lets one expect, m(voice), lies near the average person m̄, as one voice fits many faces. Guidance goes
    on the way that the voice points, as classifier-free guidance does, and draws from around

        m̄ + w (m(voice) − m̄),   w = voice_guidance; 1 = the expectation itself

    prior: p(identity | voice).
    voices: (n, d), as the prior's `inputs` give them.
    seeds: n whole numbers.
    temperature: in [0, 1], scale of the noise that the prior's flow starts from.
    voice_guidance: w, at least 0.
    log_likelihood: log p(wish | identity), (n, identity_dim) to (n,); bends the flow towards people whom the wish fits,
        see `diffusion.guidance.steered`. None: no wish.
    """
    device = prior.identity_mean.device
    mean = prior.predict_mean(torch.from_numpy(np.asarray(voices, np.float32)).to(device))
    condition = Condition.of(mean)
    centre = prior.identity_mean + voice_guidance * (mean - prior.identity_mean)
    noise = normal_by_seed(seeds, mean.shape[1], stream=0, to=device)
    predict: Predict = lambda z, t: prior(z, t, condition)  # noqa: E731
    if log_likelihood is not None:
        predict = steered(predict, lambda x: log_likelihood(centre + x @ prior.colouring), WISH_STRENGTH)
    residual = heun(predict, temperature * noise, PRIOR_STEPS)
    found: np.ndarray = (centre + residual @ prior.colouring).cpu().numpy()
    return found
