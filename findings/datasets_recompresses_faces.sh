#!/usr/bin/env bash
# datasets 5.2 (Hugging Face): a map() that looks at the pictures, and returns nothing but a number, compresses them anew.
#
# `table.map(lambda row: {"width": row["image"].width})` adds a column. Because the picture was decoded for the function, it is
# encoded again, in its own format with Pillow's defaults, and that is what the new table holds: JPEG at quality 75, AVIF
# at 75, lossless WebP as lossy at 80. Of a drawn face of 256 px with a little grain, lossless WebP of 98 kB becomes 1.7 kB, with
# a PSNR of 37 dB; JPEG of quality 95 goes from 28 to 4.9 kB, from 39.0 to 36.4 dB. EXIF goes as well, and of JPEG and WebP
# the colour profile. So embeddings of faces differ before and after these have been counted or measured, and what tells
# edited pictures finds an edit. PNG keeps its pixels, and pictures in files of their own ("imagefolder") keep their path. A
# stream gives what is stored.
#
# Untouched: a filter(), a map() over other columns, or with input_columns=["image"], or with the column cast to
# Image(decode=False) and decoded in the function.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 pillow==13.0.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import datasets
import numpy as np
from datasets import Dataset, Features, Image
from PIL import Image as Pillow
from PIL import ImageCms, ImageDraw, ImageFilter

datasets.disable_progress_bars()

drawing = Pillow.new("RGB", (256, 256), (90, 110, 140))
draw = ImageDraw.Draw(drawing)
draw.ellipse((48, 25, 208, 235), (224, 172, 145))
for eye in (95, 161):
    draw.ellipse((eye - 16, 104, eye + 16, 120), (250, 250, 250))
    draw.ellipse((eye - 7, 105, eye + 7, 119), (60, 40, 30))
draw.ellipse((96, 181, 160, 199), (180, 60, 70))
grain = np.random.default_rng(0).normal(scale=3, size=(256, 256, 3))
face = (np.asarray(drawing.filter(ImageFilter.GaussianBlur(1))) + grain).clip(0, 255).astype(np.uint8)


def stored(kind, **options):
    """Bytes of the face with a colour profile and a description."""
    memory, exif = io.BytesIO(), Pillow.Exif()
    exif[0x010E] = "generated"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Pillow.fromarray(face).save(memory, kind, icc_profile=profile, exif=exif, **options)
    return memory.getvalue()


def decibels(data):
    """PSNR to the face."""
    error = np.mean((np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"), float) - face) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))


def width(row):
    return {"width": row["image"].width}


def undecoded(row):
    return {"width": Pillow.open(io.BytesIO(row["image"]["bytes"])).width}


def held(table):
    return table.cast_column("image", Image(decode=False))[0]["image"]["bytes"]


print("datasets", datasets.__version__, "Pillow", Pillow.__version__)
kinds = {
    "JPEG 95": stored("JPEG", quality=95, subsampling=0),
    "AVIF 95": stored("AVIF", quality=95, subsampling="4:4:4"),
    "WebP lossless": stored("WEBP", lossless=True),
    "PNG": stored("PNG"),
}
as_before = True
for name, before in kinds.items():
    table = Dataset.from_dict({"image": [{"bytes": before, "path": None}]}, features=Features({"image": Image()}))
    after = held(table.map(width))
    opened = Pillow.open(io.BytesIO(after))
    print(
        f"{name:13} {len(before)} -> {len(after)} bytes,"
        f" PSNR {min(decibels(before), 99):.1f} -> {min(decibels(after), 99):.1f} dB,"
        f" profile {'icc_profile' in opened.info}, EXIF {0x010E in opened.getexif()}"
    )
    others = {
        "filter": table.filter(lambda row: row["image"].width > 0),
        "input_columns": table.map(lambda image: {"width": image.width}, input_columns=["image"]),
        "decode=False": table.cast_column("image", Image(decode=False)).map(undecoded),
    }
    changed = [how for how, made in others.items() if held(made) != before]
    print(f"{'':13} other ways that change it: {changed or 'none'}")
    loses = decibels(after) < decibels(before) - 2 and len(after) < len(before) / 2
    as_before &= loses == (name != "PNG") and not changed and 0x010E not in opened.getexif()
if not as_before:
    sys.exit("changed")
PYTHON
