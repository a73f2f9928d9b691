"""Makes the eigenfaces that tiny pictures are aligned by (see `ds2f.face.eigenfaces`), from the train split of
datasets.

    python scripts/make_eigenfaces.py dataset.db lfw.db
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.numpy import save_file

from ds2f.dataset import Dataset
from ds2f.face.eigenfaces import FILE, fit
from ds2f.io.files import replacing
from ds2f.io.images import decode_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("databases", type=Path, nargs="+")
    options = parser.parse_args()
    crops = []
    for path in options.databases:
        with Dataset(path) as dataset:
            crops += [decode_image(face.crop) for face in dataset.faces("train")]
    with replacing(FILE) as aside:
        save_file(fit(crops), aside)
        aside.chmod(0o644)
    print(f"{FILE}: {FILE.stat().st_size / 1e3:.0f} kB, of {len(crops)} faces")


if __name__ == "__main__":
    main()
