"""`ds2f init`"""

from __future__ import annotations

import argparse
from pathlib import Path

from ds2f.cli.arguments import add_config


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out
    from ds2f.config import FILE_NAME, write_default

    path = options.config or Path(FILE_NAME)
    write_default(path)
    out.print(f"Wrote {path}. Next: ds2f ingest FOLDER")
