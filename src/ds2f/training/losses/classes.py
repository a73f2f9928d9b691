"""Losses that classify all training speakers, with a margin for their cosines.

    L = −log  e^{z_y} / Σ_k e^{z_k}       z: the logits of one utterance, y: its speaker

softmax      z_k = w_k · x + b_k
AM-softmax   z_k = s (cos θ_k − m [k = y])        Wang et al. 2018, arXiv:1801.05599 (CosFace: arXiv:1801.09414)
AAM-softmax  z_k = s cos(θ_k + m [k = y])         Deng et al., CVPR 2019, arXiv:1801.07698 (ArcFace)

θ_k: the angle between the embedding x and the centre w_k; with C sub-centres, that of the nearest one, cos θ_k = max_c
cos θ_kc (Deng et al., ECCV 2020), so that a mislabelled utterance can have one of its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def cosines(embedding: Tensor, centres: Tensor, each: int = 1) -> Tensor:
    """Cosine of every embedding with every speaker: (n, speakers).

    embedding: (n, d); centres: (speakers · each, d), grouped by speaker; each: number of sub-centres.
    """
    cosine = F.normalize(embedding, dim=1) @ F.normalize(centres, dim=1).T
    return cosine.view(len(embedding), -1, each).amax(2)


def softmax(embedding: Tensor, centres: Tensor, bias: Tensor, speaker: Tensor) -> Tensor:
    """Mean cross entropy of a linear classifier.

    embedding: (n, d); centres: (speakers, d); bias: (speakers,); speaker: (n,) int64, of each utterance.
    """
    return F.cross_entropy(F.linear(embedding, centres, bias), speaker)


def am_softmax(cosine: Tensor, speaker: Tensor, margin: float = 0.2, scale: float = 30.0) -> Tensor:
    """Additive margin. cosine: (n, speakers), see `cosines`; speaker: (n,) int64; margin: m; scale: s."""
    own = F.one_hot(speaker, cosine.shape[1]).to(cosine)
    return F.cross_entropy(scale * (cosine - margin * own), speaker)


def aam_softmax(cosine: Tensor, speaker: Tensor, margin: float = 0.2, scale: float = 30.0) -> Tensor:
    """Additive angular margin, m in radians. Where θ + m would exceed π, it is replaced by cos θ − m sin m, which
    continues to decrease, as in ArcFace's code. Arguments as in `am_softmax`."""
    own = cosine.gather(1, speaker[:, None])
    sine = (1 - own.square()).clamp_min(1e-12).sqrt()
    moved = own * math.cos(margin) - sine * math.sin(margin)
    moved = torch.where(own > -math.cos(margin), moved, own - margin * math.sin(margin))
    return F.cross_entropy(scale * cosine.scatter(1, speaker[:, None], moved), speaker)
