"""`ds2f ingest`: files into the dataset."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, add_database, config_of, database_of
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.config import Config


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder, or uncompressed tar of pictures")
    sub.add_argument(
        "--kind", choices=("videos", "faces"), default="videos", help="recordings, or still pictures of faces"
    )
    add_database(sub)


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out

    config = config_of(options)
    database, kind = database_of(options, config), "video" if options.kind == "videos" else "still"
    ingest(database, options.folders, kind, config)
    out.print(f"The dataset is {database}. Next: ds2f extract{f' --database {database}' if options.database else ''}")


def ingest(database: Path, folders: Sequence[Path], kind: str, config: Config) -> None:
    """Enter files into the database, made if it is not there. kind: "video" or "still"."""
    from ds2f.cli.console import out
    from ds2f.corpora.scan import Skipped, scan
    from ds2f.dataset import Dataset
    from ds2f.dataset.forgotten import willing
    from ds2f.dataset.queries import SplitRule

    for folder in folders:
        if not folder.exists():
            raise UserError(f"There is no folder {folder}; check the path.")
    for folder in folders:
        skipped = Skipped()
        root = folder.resolve()
        items = list(scan(root, kind, skipped))
        if not items:
            found = f" (only others, such as {skipped.examples[0]})" if skipped.examples else ""
            what = "videos" if kind == "video" else "pictures"
            hint = " For still faces add: --kind faces." if kind == "video" and not skipped.audio_only else ""
            if skipped.audio_only:
                hint = " Sound without a picture makes no pair; to draw faces for it: ds2f generate FILE --out faces"
            raise UserError(f"{folder} has no {what}{found}.{hint}")
        with Dataset(database, create=True) as dataset:
            rule = SplitRule(config.split.seed, config.split.val, config.split.test)
            added, changed = dataset.add_items(root, kind, items, rule)
            forgotten = len(items) - len(willing(dataset.connection, items))
        left_out = skipped.audio_only + skipped.other
        note = f"; {left_out:,} other files left out" if left_out else ""
        note += f"; {forgotten:,} of people who were forgotten left out" if forgotten else ""
        out.print(f"{folder}: {len(items):,} files, {added:,} new, {changed:,} changed{note}.")
