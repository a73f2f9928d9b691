"""`ds2f forget`: asks, removes a person, and says what was removed and what cannot be reached."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ds2f.cli.arguments import add_config, add_database, config_of, database_of
from ds2f.errors import UserError


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    who = sub.add_mutually_exclusive_group(required=True)
    who.add_argument("identity", nargs="?", metavar="IDENTITY", help="name, or corpus/name")
    who.add_argument(
        "--root",
        type=Path,
        metavar="FOLDER",
        help="instead of a person, an ingested folder or tar: the dataset loses its files and what was extracted from "
        "them; the files themselves stay, and may be ingested again",
    )
    add_database(sub)
    sub.add_argument("--faces", type=Path, metavar="FOLDER", help="faces drawn for the dataset (default: configured)")
    sub.add_argument("--keep-files", action="store_true", help="leave the original recordings and pictures")
    sub.add_argument("--yes", action="store_true", help="do not ask")


def _ask(question: str, sure: bool) -> None:
    if not sure and not sys.stdin.isatty():
        raise UserError(f"{question}? Only a terminal can ask; if you are sure, add --yes.")
    if not sure and input(f"{question}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was removed.")


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import counted, out
    from ds2f.dataset import Dataset
    from ds2f.dataset.forget import drop_root, find, find_root, finish, forget, wipe

    config = config_of(options)
    database, keep_files = database_of(options, config), options.keep_files
    with Dataset(database) as dataset:
        finish(dataset)
        if options.root:
            root, entries = find_root(dataset, options.root)
            _ask(f"Remove {counted(entries, 'entry')} of {root} from {database}", options.yes)
            drop_root(dataset, root)
            wipe(dataset)
            out.print(f"{database} no longer holds files of {root}; those on the disk are untouched.")
            return
        person = find(dataset, options.identity)
        if person is None:
            out.print(f"{options.identity} is forgotten already.")
            return
        files = "" if keep_files else f", and delete {counted(len(person.files), 'file')} for good"
        if not keep_files and (linked := person.linked):
            files += f", among them {linked[0]}"
            files += f" and {len(linked) - 1:,} more to which links lead" if linked[1:] else ", to which a link leads"
        entries = len(person.keys)
        question = f"Forget {person.corpus}/{person.name}: {counted(entries, 'entry')} in {database}{files}"
        _ask(question, options.yes)
        gone = forget(dataset, person, options.faces or config.path(config.paths.faces), keep_files)
        rows = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in gone.rows.items())
        out.print(f"Removed from {database}: {rows}.")
        deleted = counted(gone.files, "original file"), counted(gone.faces, "generated face")
        out.print(f"Deleted {deleted[0]} and {deleted[1]}.")
        if gone.records or gone.reports:
            taken = counted(gone.records, "record"), counted(gone.reports, "report file")
            out.print(f"Took {taken[0]} out of exports; deleted {taken[1]}.")
        for file, names in gone.hard_links.items():
            out.print(f"Still on the disk: {file} has {names:,} more names, hard links to it.")
        for root, path in person.files if keep_files else ():
            out.print(f"Still there: {root / path}")
        for tar, member in person.inside:
            out.print(f"Still inside {tar}: {member}")
        wipe(dataset)
    out.print("A later ingest leaves them out; only a hash of the name is kept for that.")
    out.print("Not within reach: copies, backups, what was moved since, and models trained before; see to these.")
