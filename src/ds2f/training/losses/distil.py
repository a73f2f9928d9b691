"""A loss without speaker labels: a student's embedding of a degraded recording compared with its teacher's of the clean
one.

Teachers and students: Hinton et al. 2015, arXiv:1503.02531; for speaker embeddings by cosine: Jung et al. 2018,
arXiv:1810.10884; a student initialised as its teacher that receives both kinds of recordings, so that clean ones do not
get worse: Jung et al. 2018, "Multi channel far field speaker verification using teacher student deep neural networks".
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def departure(found: Tensor, wanted: Tensor) -> Tensor:
    """How far n unit vectors are from their targets, relative to the spread of the targets:

        Σ_i ‖x_i − y_i‖² / Σ_i ‖y_i − ȳ‖² = 2 Σ_i (1 − cos(x_i, y_i)) / Σ_i ‖y_i − ȳ‖²

    x, y: found and wanted, of length one. This way, vectors that are all close together count as much as others.

    found, wanted: (n, d).
    """
    x, y = F.normalize(found.float(), dim=1), F.normalize(wanted.float(), dim=1)
    return (x - y).square().sum() / (y - y.mean(0)).square().sum().clamp_min(1e-6)
