#!/usr/bin/env bash
# ncnn 1.0.20261020 for Python: a face cut out of a photograph by slicing is not what the network sees.
#
# ncnn.Mat.from_pixels, from_pixels_resize and ncnn.Mat(array) take the address of an array and the size that they are
# told, not its strides. photo[y:y+h, x:x+w], the usual crop, is read on along the rows of the photograph: a strip of h x w
# pixels from its corner on, laid out anew, of which 1.2 % are right. photo[:, :, ::-1], the usual way from BGR to RGB,
# has its red, and for green and blue those of the next pixel, swapped: a face still, with a seam of colour at each edge.
# picture.transpose(2, 0, 1), the usual way to planes, is the picture shuffled. All have the right shape, nothing is said,
# and vectors come out that look like any. OpenCV, ONNX Runtime and PyAV heed the strides
# of the same arrays, dlib refuses them. np.ascontiguousarray around each mends it.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ncnn==1.0.20261020 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import ncnn
import numpy as np

RGB = ncnn.Mat.PixelType.PIXEL_RGB
photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
face = photo[50:162, 100:212]
views = {"crop": face, "BGR to RGB": photo[:-1, :, ::-1], "crop, contiguous": np.ascontiguousarray(face)}
print("ncnn", ncnn.__version__)
found = {}
for name, view in views.items():
    height, width = view.shape[:2]
    plain = ncnn.Mat.from_pixels(view, RGB, width, height)
    resized = ncnn.Mat.from_pixels_resize(view, RGB, width, height, width, height)
    planes = view.astype(np.float32, order="C").transpose(2, 0, 1)
    contiguous = np.ascontiguousarray(planes)
    mats = {
        "from_pixels": plain,
        "from_pixels_resize": resized,
        "Mat of planes": ncnn.Mat(planes),
        "Mat of contiguous planes": ncnn.Mat(contiguous),
    }
    for how, mat in mats.items():
        seen = np.array(mat)
        assert seen.shape == planes.shape
        found[name, how] = float((seen == planes).mean())
        print(f"{name:17} {how:25} {100 * found[name, how]:5.1f} % of the numbers right")
right = {key for key, share in found.items() if share == 1}
wanted = {("crop, contiguous", "from_pixels"), ("crop, contiguous", "from_pixels_resize")}
wanted |= {(name, "Mat of contiguous planes") for name in views}
if right != wanted or max(share for key, share in found.items() if key not in wanted) > 0.4:
    sys.exit("changed")
PYTHON
