"""Losses over the utterances of a batch: m from each of n speakers, contrasted with each other.

    L = −1/N Σ_j log  e^{S_{j,j}} / Σ_k e^{S_{j,k}}      j: a query; k: the speakers of the batch

prototypical          S_{j,k} = −‖x_j − c_k‖²            Snell et al. 2017, arXiv:1703.05175
angular prototypical  S_{j,k} = w cos(x_j, c_k) + b      Chung et al., Interspeech 2020, arXiv:2003.11982
GE2E                  the same, every utterance a query  Wan et al., ICASSP 2018, arXiv:1710.10467

For the first two, the query is a speaker's first utterance and c_k the mean of the others; in GE2E, c_k is the mean of
all of a speaker's utterances, excluding the query if it is their own. w > 0 and b are learnt.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def prototypical(embedding: Tensor, speaker: Tensor) -> Tensor:
    """embedding: (n, m, d), m at least 2; speaker: (n,) int64. Rows of one speaker are not contrasted with each
    other."""
    query, centre = embedding[:, 0], embedding[:, 1:].mean(1)
    return _told_apart(-torch.cdist(query, centre).square(), speaker)


def angular_prototypical(embedding: Tensor, speaker: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """scale: w, shift: b; the others as in `prototypical`."""
    query, centre = F.normalize(embedding[:, 0], dim=1), F.normalize(embedding[:, 1:].mean(1), dim=1)
    return _told_apart(scale.clamp_min(1e-6) * (query @ centre.T) + shift, speaker)


def ge2e(embedding: Tensor, speaker: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Generalised end-to-end loss, softmax form. Arguments as in `angular_prototypical`."""
    n, m, _ = embedding.shape
    x = F.normalize(embedding, dim=2)
    whole = x.sum(1)
    cosine = torch.einsum("jid,kd->jik", x, F.normalize(whole, dim=1))
    without = F.normalize(whole[:, None] - x, dim=2)  # the length of a mean does not affect a cosine
    own = torch.eye(n, dtype=torch.bool, device=x.device)[:, None]
    cosine = torch.where(own, (x * without).sum(2, keepdim=True), cosine)
    logits = scale.clamp_min(1e-6) * cosine + shift
    return _told_apart(logits.reshape(n * m, n), speaker, torch.arange(n, device=x.device).repeat_interleave(m))


def _told_apart(logits: Tensor, speaker: Tensor, right: Tensor | None = None) -> Tensor:
    """Cross entropy, (queries, n). right: (queries,) which of the n rows a query belongs to; None: one each."""
    right = torch.arange(len(logits), device=logits.device) if right is None else right
    same = speaker[right][:, None] == speaker
    same = same & (torch.arange(logits.shape[1], device=logits.device) != right[:, None])
    return F.cross_entropy(logits.masked_fill(same, -torch.inf), right)
