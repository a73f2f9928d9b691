"""The offline default for age, gender and ethnicity: our own small head on dlib's identity vector.

It reads no pixels, so it costs almost nothing on top of the embedding that extraction computes anyway, and it can judge
an identity vector sampled from the prior before there is any picture. Trained on UTKFace by `ds2f train attributes`;
accuracy by group is in weights/MODEL_CARD.md and, next to the weights, in attributes.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.models import folders, store
from ds2f.models.ages import MAX_AGE, decades
from ds2f.models.attributes import AttributeHead
from ds2f.types import AGE_BINS, ETHNICITIES, GENDERS, Attributes, DetectedFace

_BATCH = 4096  # rows per pass; bounds memory


@dataclass(frozen=True)
class Estimates:
    """Attributes of n faces as arrays, all float32. age: (n,) expected years; age_bins: (n, 9), columns AGE_BINS;
    female: (n,) probability; ethnicity: (n, 5), columns ETHNICITIES."""

    age: np.ndarray
    age_bins: np.ndarray
    female: np.ndarray
    ethnicity: np.ndarray


class IdentityAttributes:
    """An AttributeModel that uses only identity vectors."""

    needs_picture = False
    licence = "weights: non-commercial research, as UTKFace; code: Apache-2.0"

    def __init__(self, folder: Path | None = None) -> None:
        """folder: a model folder written by `ds2f train attributes`; None: the weights that ship with ds2f.

        Raises UserError if there are none, or if they do not fit.
        """
        self.name = "ds2f-attributes" if folder is None else f"ds2f-attributes:{folder}"
        self._head = store.load_attributes(folder or folders.shipped())

    def predict(
        self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace], identities: np.ndarray
    ) -> list[Attributes]:
        """See AttributeModel.predict; images and faces are ignored."""
        return self.predict_identities(identities)

    def predict_identities(self, identities: np.ndarray) -> list[Attributes]:
        """identities: (n, 128) float32 from dlib. Raises UserError for vectors of another length."""
        found = self.estimate(identities)
        return [
            Attributes(
                age=float(age),
                age_bins=_named(AGE_BINS, bins),
                gender=_named(GENDERS, np.array([1 - female, female])),
                ethnicity=_named(ETHNICITIES, ethnicity),
            )
            for age, bins, female, ethnicity in zip(
                found.age, found.age_bins, found.female, found.ethnicity, strict=True
            )
        ]

    def estimate(self, identities: np.ndarray) -> Estimates:
        """The same for many rows at once: tens of thousands of faces a second on one core."""
        return estimate(self._head, identities)

    @torch.no_grad()
    def features(self, identities: np.ndarray) -> np.ndarray:
        """(n, width) float32 features from which the head predicts attributes; faces with similar attributes are close
        together."""
        vectors = torch.as_tensor(identities, dtype=torch.float32)
        return torch.cat([self._head.features(batch) for batch in vectors.split(_BATCH)]).numpy()


@torch.no_grad()
def estimate(head: AttributeHead, identities: np.ndarray) -> Estimates:
    """identities: (n, dim) float32. Raises UserError if dim is not what the head reads."""
    dim = head.config.identity_dim
    if identities.ndim != 2 or identities.shape[1] != dim:
        raise UserError(
            f"The attribute model reads identity vectors of {head.config.face_encoder}, (n, {dim}), "
            f"not {identities.shape}; give it those, or choose another attribute model."
        )
    vectors = torch.as_tensor(identities, dtype=torch.float32)
    parts = [head.probabilities(batch) for batch in vectors.split(_BATCH)]
    years, gender, ethnicity = (torch.cat([part[name] for part in parts]) for name in ("age", "gender", "ethnicity"))
    return Estimates(
        age=(years @ torch.arange(MAX_AGE + 1.0)).numpy(),
        age_bins=decades(years.numpy()),
        female=gender[:, GENDERS.index("female")].numpy(),
        ethnicity=ethnicity.numpy(),
    )


def _named(names: Sequence[str], probabilities: np.ndarray) -> dict[str, float]:
    return {name: float(p) for name, p in zip(names, probabilities, strict=True)}
