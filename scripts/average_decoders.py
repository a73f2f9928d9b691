"""Averages the weights of decoders that were trained further from one and the same: what each of them learned adds up
without further training, and what only one of them got wrong is halved (Wortsman et al. 2022, arXiv:2203.05482).

    python scripts/average_decoders.py MODEL MODEL ... --start MODEL --out FOLDER [--frozen blocks.1 ...]

START is the model from which they all come; what else it has is carried over, as after a round of training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ds2f.models import folders, store
from ds2f.training.warm_start import carry_over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frozen", nargs="*", default=[], help="parts that the fast decoder leaves as the decoder's")
    options = parser.parse_args()
    decoders = [store.load_decoder(model) for model in options.models]
    first, states = decoders[0], [decoder.state_dict() for decoder in decoders]
    if any(decoder.config != first.config for decoder in decoders):
        parser.error("the decoders differ in shape or conditions")
    first.load_state_dict({name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]})
    cards = [folders.description(model, "decoder")["card"] for model in options.models]
    seen = list(dict.fromkeys(judge for model in options.models for judge in folders.judges(model)))
    options.out.mkdir(parents=True, exist_ok=True)
    store.save(options.out, first, {"mean_of": cards, "judges": seen})
    carry_over(options.start, options.out, options.frozen)


if __name__ == "__main__":
    main()
