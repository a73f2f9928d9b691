#!/usr/bin/env bash
# safetensors.numpy.save_file writes the memory of an array as it lies and the shape that it has: a transposed array comes
# back as other numbers, without an error or a warning.
#
# A matrix from an eigendecomposition or an einsum is often a view in Fortran's order, and elementwise NumPy keeps that order.
# For tensors of PyTorch the same package refuses what is not contiguous. So principal axes, whitening matrices or linear
# maps saved by way of NumPy load without complaint, with their shape and type, and are garbage. So do
# slices of columns. np.ascontiguousarray before saving mends it.
#
# Needs python3. Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet safetensors==0.8.0 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import sys
import warnings

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

warnings.simplefilter("error")
rng = np.random.default_rng(0)
_, vectors = np.linalg.eigh(np.cov(rng.normal(size=(50, 4)), rowvar=False))
axes = 2 * vectors.T  # one axis a row; still in the order of its transposed
mended = np.ascontiguousarray(axes)
save_file({"axes": axes, "columns": mended[:, :2], "mended": mended}, "axes.safetensors")
found = load_file("axes.safetensors")
print("safetensors", safetensors.__version__)
for name, known in (("axes", axes), ("columns", axes[:, :2]), ("mended", axes)):
    print(f"{name}: shape {found[name].shape}, same numbers: {np.array_equal(found[name], known)}")
print("axes are those of the transposed:", np.array_equal(found["axes"], axes.T))
same = [np.array_equal(found["axes"], axes), np.array_equal(found["columns"], axes[:, :2])]
sys.exit(0 if not any(same) and np.array_equal(found["mended"], axes) else 1)
PYTHON
