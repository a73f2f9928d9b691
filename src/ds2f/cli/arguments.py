"""What the commands' arguments share: how they are shown, checked, and added to a command."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from ds2f.config import Config

EXIT_USER_ERROR = 2


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one sentence, where argparse would print all options first, and leaves room for long
    options."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given, formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32))

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USER_ERROR, f"{self.prog}: {message}; see: {self.prog} --help\n")


def positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return value


def add_config(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--config", type=Path, metavar="FILE", help="configuration (default: ds2f.toml if it is here)")


def add_database(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--database", type=Path, metavar="FILE", help="default: from the configuration, dataset.db")


def named(database: Path, config: Config) -> str:
    """The words by which the next command finds this database: none for the configured one."""
    return "" if database == config.path(config.paths.database) else f" --database {database}"


def add_size(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--size", type=positive, metavar="PIXELS", help="of a face: 256, 128, or quicker 64")


def add_out(sub: argparse.ArgumentParser, text: str) -> None:
    sub.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=text)


def add_workers(sub: argparse.ArgumentParser) -> None:
    cores = os.cpu_count() or 1
    sub.add_argument("--workers", type=positive, default=cores, metavar="N", help="processes (default: all cores)")


def config_of(options: argparse.Namespace) -> Config:
    from ds2f.config import load

    return load(options.config)


def database_of(options: argparse.Namespace, config: Config) -> Path:
    path: Path | None = options.database
    return path or config.path(config.paths.database)


def must_open(database: Path, read_only: bool = False) -> None:
    """Check that a database can be used before torch is imported, which takes seconds. Raises UserError if it
    cannot."""
    from ds2f.dataset import Dataset

    with Dataset(database, read_only=read_only):
        pass
