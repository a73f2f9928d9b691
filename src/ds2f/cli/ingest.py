"""`ds2f ingest`: enters files into the dataset."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ds2f.cli.arguments import add_config, add_database, config_of, database_of, named
from ds2f.errors import UserError

if TYPE_CHECKING:
    from ds2f.config import Config
    from ds2f.corpora.scan import Scan
    from ds2f.corpora.tables import PeopleTable
    from ds2f.dataset import Dataset
    from ds2f.dataset.ingest import Entered
    from ds2f.dataset.joining import Joined
    from ds2f.types import CorpusItem

KINDS = {"videos": "video", "faces": "still", "voices": "sound"}
_MENDS = {  # {extensions: what to do}, if a folder holds nothing else
    ".tar": "Give the tars themselves; they are read in place.",
    ".zip .gz .tgz .bz2 .xz .zst .7z .rar": "Unpack the archives.",
    ".parquet .arrow .h5 .hdf5 .lmdb .mdb .rec .tfrecord .mat .npy .npz .pkl": "Save what the tables hold as files.",
}
NOUN = {"video": "video", "still": "picture", "sound": "sound"}


def add_arguments(sub: argparse.ArgumentParser) -> None:
    add_config(sub)
    sub.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder, or uncompressed tar")
    sub.add_argument(
        "--kind",
        choices=tuple(KINDS),
        help="videos (default; everything in a corpus that holds voices and faces in one tree), faces: still pictures, "
        "voices: sound",
    )
    sub.add_argument(
        "--people",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="who is who: a CSV file with one row per person, one column per corpus or ingested folder",
    )
    sub.add_argument(
        "--person",
        metavar="RULE",
        help="for files of no known layout: folder (one person per folder), file (one per file), or a regular "
        "expression whose ( ) in the path below FOLDER is the person, such as '([^/]+)/'; remembered for later ingests",
    )
    add_database(sub)


def run(options: argparse.Namespace) -> None:
    from ds2f.cli.console import out

    config = config_of(options)
    database = database_of(options, config)
    ingest(database, options.folders, KINDS.get(options.kind), config, options.people, options.person)
    out.print(f"The dataset is {database}. Next: ds2f extract{named(database, config)}")


def ingest(
    database: Path,
    folders: Sequence[Path],
    kind: str | None,
    config: Config,
    people: Sequence[Path] = (),
    person: str | None = None,
) -> None:
    """Enter files into the database, created if missing, and report how they were recognised.

    database: the dataset.
    folders: with the files; a tar of them or a manifest also counts as one.
    kind: "video", "sound" or "still"; None: videos, and everything in corpora that hold voices and faces in one tree.
    config: its [split] sets how people are split, unless the database already fixes it.
    people: tables of who is who.
    person: what names the person in files of no known layout, see `corpora.folder.chosen`; None: as an earlier ingest
        of the folder was told, or else as `corpora.folder` decides.
    Raises UserError for what the user can fix.
    """
    from itertools import chain

    from ds2f.cli.console import err
    from ds2f.corpora.folder import check_rule
    from ds2f.corpora.manifests import open_scan
    from ds2f.corpora.tables import read_people
    from ds2f.dataset import Dataset
    from ds2f.dataset.ingest import people_by_kind, root_names

    for folder in folders:
        if not folder.exists():
            raise UserError(f"There is no folder {folder}; check the path.")
    if person:
        check_rule(person)
    tables = [read_people(path) for path in people]  # now, before anything is entered
    joined: Joined | None = None
    empty: list[str] = []
    for folder in folders:
        chosen = _chosen_before(database, folder.resolve())
        scan = open_scan(folder.resolve(), kind, person or chosen)
        items = scan.items()
        if first := next(items, None):
            entered = _enter(database, scan, chain([first], items), config, tables)
            _say_entered(folder, scan, entered, None if person else chosen)
            joined = entered.joined
        else:
            empty.append(_nothing(folder, scan))
    if joined is None:
        raise UserError(" ".join(empty))
    with Dataset(database) as dataset:
        for table in tables:
            for column in sorted(set(table.folders) - root_names(dataset)):
                err.print(
                    f"{table.source}: {column!r} is not a corpus, and no folder of that name is ingested yet.",
                    markup=False,
                )
        _say_people(joined, people_by_kind(dataset), {table.source for table in tables})
    if empty:
        raise UserError(f"{' '.join(empty)} The other folders were entered.")


def _chosen_before(database: Path, root: Path) -> str | None:
    from ds2f.dataset import Dataset
    from ds2f.dataset.ingest import chosen_person

    if not (database.is_file() and database.stat().st_size):
        return None
    with Dataset(database) as dataset:
        _follow(dataset, root)
        return chosen_person(dataset, root)


def _follow(dataset: Dataset, root: Path) -> None:
    from ds2f.cli.console import err, out
    from ds2f.dataset.moving import follow

    earlier = follow(dataset, root)
    if earlier and earlier.moved:
        out.print(f"{root} is {earlier.path}, which has been moved; its files keep what was extracted from them.")
    elif earlier:
        err.print(
            f"{root} has the files of {earlier.path}, which is gone, but not their times, or was ingested besides it; "
            "so they count twice. To remove the earlier: "
            f'ds2f forget --root "{earlier.path}" --database "{dataset.path}"'  # quotes that Windows knows, too
        )


def _enter(
    database: Path, scan: Scan, items: Iterator[CorpusItem], config: Config, tables: Sequence[PeopleTable]
) -> Entered:
    """Enter the files of one folder. items: of the scan."""
    from ds2f.corpora.manifests import ManifestScan
    from ds2f.dataset import Dataset
    from ds2f.dataset.ingest import enter
    from ds2f.dataset.splits import SplitRule

    rule = SplitRule(config.split.seed, config.split.val, config.split.test)
    with Dataset(database, create=True) as dataset:
        if isinstance(scan, ManifestScan):  # its root is known only now
            _follow(dataset, scan.root)
        return enter(dataset, scan.root, scan.kind or "video", items, rule, tables, scan.side, scan.person)


def _say_entered(folder: Path, scan: Scan, entered: Entered, before: str | None) -> None:
    """before: what was chosen at an earlier ingest of the folder, if it was not chosen anew; see `ingest`."""
    from ds2f.cli.console import counted, err, out
    from ds2f.corpora.manifests import ManifestScan

    unseen = 0 if isinstance(scan, ManifestScan) else entered.unseen  # other manifests name other files of its folder
    for warning in (*scan.side.warnings, *scan.warnings):
        err.print("ds2f ingest:", style="yellow", end=" ")
        err.print(warning)
    note = "".join(
        f"; {count:,} {what}"
        for count, what in (
            (sum(scan.left_out.values()) - scan.left_out["link"], "other files left out"),
            (scan.left_out["link"], "links to files in it left out"),
            (entered.renamed, "recognised better than before"),
            (entered.doubled, "sounds left out because their videos are there"),
            (entered.elsewhere, "left out because they were entered from another folder"),
            (entered.forgotten, "of forgotten people left out"),
            (unseen, "entered before and not found now, which stay in the dataset"),
        )
        if count
    )
    out.print(f"{folder}: {counted(entered.files, 'file')}, {entered.added:,} new, {entered.changed:,} changed{note}.")
    taken = [
        f"{counted(files, NOUN[kind])} for {corpus}"
        if corpus != "folder"
        else f"{counted(files, NOUN[kind])} of no known layout, counted as {counted(who, 'person')} (see --person)"
        for (corpus, kind), (files, who) in entered.taken.items()
    ]
    taken += [f"of {corpus} {count:,} names only partly understood" for corpus, count in scan.not_whole.items()]
    if taken:
        out.print(f"Taken: {', '.join(taken)}.")
    if entered.kept:
        err.print(
            f"{folder}: persons or labels of {counted(entered.kept, 'file')} stay as stored before, because a side "
            "file that stated them is missing, cannot be read, or no longer names the file.",
            markup=False,
        )
    if before and any(corpus == "folder" for corpus, _ in entered.taken):
        who = f"Each {before} counts as a person" if before in ("folder", "file") else f"{before} says who it is"
        out.print(f"{who}, as chosen at an earlier ingest; to change: --person", markup=False)
    for source in entered.replaced:
        out.print(f"{source} is gone; what it said is replaced by the table with the same columns.", markup=False)
    for read in scan.side.read:
        out.print(f"Read: {read}.")
    # Here, and not after the last folder: an error in a later one must not swallow what the next run cannot tell again.
    for (old, new), count in sorted(entered.joined.moved.items()):
        err.print(
            f"{counted(count, 'identity')} moved from {old} to {new}, to join their person; models trained "
            "before may have seen them."
        )


def _nothing(folder: Path, scan: Scan) -> str:
    """Why an ingest found no files."""
    found = f" (only others, such as {scan.examples[0]})" if scan.examples else ""
    what = f"{NOUN[scan.kind or 'video']}s"
    hints = {"sound": "voices", "still": "faces", "video": "videos"}
    other = max(hints, key=lambda kind: scan.left_out[kind])
    hint = f" For {NOUN[other]}s add: --kind {hints[other]}." if scan.left_out[other] else ""
    if other == "sound" and hint:
        hint = f" Sound without a picture is a voice.{hint}"
    suffixes = {Path(example).suffix.lower() for example in scan.examples}
    hint += "".join(f" {mend}" for known, mend in _MENDS.items() if suffixes & set(known.split()))
    if "" in suffixes and not hint:
        hint += f" Files without an extension are not taken; give {what} theirs."
    return f"{folder} has no {what}{found}.{hint}"


def _say_people(joined: Joined, people: dict[str, int], given: set[str]) -> None:
    """given: the user's own tables; those of a single corpus are not worth a line."""
    from ds2f.cli.console import counted, out

    for table in (t for t in joined.tables if t.corpora > 1 or t.source in given):
        left = f"; left over: {table.single:,} with one name here, {table.absent:,} with none"
        out.print(f"{table.source} joins {counted(table.joined, 'person')}{left}.")
    everybody = counted(sum(people.values()), "person")
    out.print(
        f"In total {everybody}: {people['both']:,} with voices and faces, {people['voice']:,} with voices only, "
        f"{people['face']:,} with faces only."
    )
