"""A loss that knows no speaker: what a student says of a poor recording against what its teacher says of the clean one.

Teachers and students: Hinton et al. 2015, arXiv:1503.02531; of speaker embeddings by their cosine: Jung et al. 2018,
arXiv:1810.10884; a student that begins as its teacher and hears both kinds of recordings, so that the clean ones do not
become worse: Jung et al. 2018, "Multi channel far field speaker verification using teacher student deep neural
networks".
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def departure(found: Tensor, wanted: Tensor) -> Tensor:
    """How far n vectors of length one are from where they should be, as a share of the spread of the latter:

        Σ_i ‖x_i − y_i‖² / Σ_i ‖y_i − ȳ‖² = 2 Σ_i (1 − cos(x_i, y_i)) / Σ_i ‖y_i − ȳ‖²

    x, y: found and wanted, of length one. So that vectors which all lie close together count as much as others.

    found, wanted: (n, d).
    """
    x, y = F.normalize(found.float(), dim=1), F.normalize(wanted.float(), dim=1)
    return (x - y).square().sum() / (y - y.mean(0)).square().sum().clamp_min(1e-6)
