#!/usr/bin/env bash
# Pillow 13 and OpenCV 5: one orientation in five formats, and who has turned the picture already.
#
# A picture of 48 x 32 with EXIF orientation 6 (to be shown as 32 x 48), saved by Pillow:
#
# | | opened by Pillow | its EXIF then says | decoded by OpenCV |
# | --- | --- | --- | --- |
# | JPEG, PNG, WebP | as stored | 6 | turned |
# | TIFF | turned already | 6 still | turned |
# | AVIF | as stored | 6 | as stored |
#
# So who turns by the tag, as much face code does, turns TIFF twice; ImageOps.exif_transpose is right for all five.
# Who counts on OpenCV sees faces of AVIF lying on their side. And saving as AVIF takes the orientation out of the Exif
# object of the caller (it becomes the box irot): whatever is saved with that object next has none.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import cv2
import numpy as np
import PIL
from PIL import Image, ImageOps

TAG, STORED, SHOWN = 0x0112, (48, 32), (32, 48)
EXPECTED = {  # size as Pillow opens it, its tag, size by OpenCV, whether the caller's Exif keeps the tag
    "JPEG": (STORED, 6, SHOWN, True),
    "PNG": (STORED, 6, SHOWN, True),
    "WEBP": (STORED, 6, SHOWN, True),
    "TIFF": (SHOWN, 6, SHOWN, True),
    "AVIF": (STORED, 6, STORED, False),
}
print("Pillow", PIL.__version__, "OpenCV", cv2.__version__)
found = {}
for form in EXPECTED:
    exif = Image.Exif()
    exif[TAG] = 6
    buffer = io.BytesIO()
    Image.new("RGB", STORED, "red").save(buffer, form, exif=exif)
    with Image.open(io.BytesIO(buffer.getvalue())) as opened:
        size, tag, turned = opened.size, opened.getexif().get(TAG), ImageOps.exif_transpose(opened).size
    decoded = cv2.imdecode(np.frombuffer(buffer.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    found[form] = (size, tag, decoded.shape[1::-1], TAG in exif)
    print(f"{form}: Pillow {size}, tag {tag}, exif_transpose {turned}; OpenCV {decoded.shape[1::-1]}; kept: {TAG in exif}")
    assert turned == SHOWN
sys.exit(found != EXPECTED)
PYTHON
