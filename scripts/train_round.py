"""One round of training the decoder, starting from the result of the last round; run it again for the next.

    python scripts/train_round.py DATABASE ROUNDS [--recipe gpu-round | cpu-round | FILE] [--start MODEL]

The first round starts from MODEL, or from the bundled decoder; pictures and patches may be two or four times as large.
Every round has a folder in ROUNDS, with its log, samples and model; an interrupted round is finished first. What else
MODEL has is carried over to the round's model, so that it can draw: fast decoder and super-resolution, fitted to the
new decoder, the prior and the rest. To continue on another machine, copy the last folder's `model` there, and pass it
as MODEL.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ds2f.cli import main as ds2f
from ds2f.config import load, with_recipe
from ds2f.models import folders
from ds2f.training.warm_start import carry_over

FINISHED = "finished"  # in the folder of a round whose model is complete


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("rounds", type=Path)
    parser.add_argument("--recipe", default="gpu-round")
    parser.add_argument("--start", type=Path, metavar="MODEL")
    options = parser.parse_args()
    folder = next_round(options.rounds, options.start or folders.shipped())
    print(f"Round in {folder}", flush=True)
    arguments = ["--config", folder / "ds2f.toml", "--database", options.database, "--runs", folder]
    failed = ds2f(["train", "decoder", "--recipe", options.recipe, *map(str, arguments)])
    if not failed:
        settings = with_recipe(load(folder / "ds2f.toml"), options.recipe).train
        carry_over(Path(settings.decoder_from), folder / "model", settings.fast_frozen)
        (folder / FINISHED).touch()
    sys.exit(failed)


def next_round(rounds: Path, start: Path) -> Path:
    """The folder of the round to run, with its ds2f.toml: the last one if unfinished, otherwise a new one that starts
    from the last one's model, and the first from `start`."""
    done = sorted(rounds.glob("round-[0-9][0-9][0-9]"))
    if done and not (done[-1] / FINISHED).exists() and (done[-1] / "ds2f.toml").exists():
        return done[-1]
    before = done[-1] / "model" if done else start
    number = int(done[-1].name.removeprefix("round-")) + 1 if done else 1  # earlier ones may have been deleted
    folder = rounds / f"round-{number:03d}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ds2f.toml").write_text(f"[train]\ndecoder_from = {json.dumps(str(before.resolve()))}\n", "utf-8")
    return folder


if __name__ == "__main__":
    main()
