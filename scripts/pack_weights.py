"""Makes trained models small enough for the package: stores weights as 8-bit integers, a quarter of float32.

    python scripts/pack_weights.py runs/model src/ds2f/weights [KIND ...]    # decoders of further sizes: .../weights/64

KIND: decoder (with the fast decoder distilled from it), super-resolution, prior, alignment and attributes; by default,
all that the model has.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ds2f.models import folders, store

LOAD: dict[str, Callable[[Path], Any]] = {
    "decoder": store.load_decoder,
    "super-resolution": store.load_super_resolution,
    "prior": store.load_prior,
    "alignment": store.load_alignment,
    "attributes": store.load_attributes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("kinds", nargs="*", choices=[*LOAD, []], metavar="KIND")
    options = parser.parse_args()
    for kind in options.kinds or [kind for kind in LOAD if (options.model / f"{kind}.json").exists()]:
        card = folders.description(options.model, kind)["card"]
        store.save(options.out, LOAD[kind](options.model), card, "int8")
        if kind == "decoder" and (fast := store.load_fast_decoder(options.model)):
            # The fast decoder identifies its teacher by the hash of the decoder's file, which has changed.
            card = folders.description(options.model, "fast-decoder")["card"]
            card = {**card, "teacher": folders.digest(options.out, "decoder")}
            store.save(options.out, fast, card, "int8", store.shared(options.out))
    for path in sorted(options.out.glob("*.safetensors")):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
