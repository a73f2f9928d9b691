"""A trained model made small enough for the package: decoder and fast decoder as whole numbers, a quarter of float32.

python scripts/pack_weights.py runs/model src/ds2f/weights        # the main decoder; further sizes: .../weights/64
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ds2f.models import store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder with a decoder and the fast decoder that it taught")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    fast = store.load_fast_decoder(options.model)
    if fast is None:
        parser.error(f"{options.model} has no fast decoder that its decoder taught; run: ds2f train fast-decoder")
    card = store.description(options.model, "decoder")["card"]
    store.save(options.out, store.load_decoder(options.model), card, "int8")
    # The fast decoder is known to be its pupil by the hash of the decoder's file, which is another now.
    card = {**store.description(options.model, "fast-decoder")["card"], "teacher": store.digest(options.out, "decoder")}
    store.save(options.out, fast, card, "int8")
    for kind in ("decoder", "fast-decoder"):
        print(f"{kind}: {(options.out / kind).with_suffix('.safetensors').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
