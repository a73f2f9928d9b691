"""`ds2f merge`: merges shards back into the dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from ds2f.cli.arguments import add_config, add_database, config_of, database_of


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("shards", nargs="+", type=Path, metavar="SHARD.db", help="as ds2f extract --shard writes it")
    add_database(sub)


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out
    from ds2f.dataset.shards import merge

    database = database_of(options, config_of(options))
    merged = merge(database, options.shards)
    left_out = f"; {merged.changed:,} left out because they have changed since" if merged.changed else ""
    out.print(f"Merged {merged.files:,} files into {database}{left_out}.")
