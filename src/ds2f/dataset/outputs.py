"""What was written from a dataset: generated faces, exports, reports. Their folders are remembered in the table
`outputs`, so that a person who is forgotten can be taken out of them too."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ds2f.dataset import manifests
from ds2f.dataset.formats import FORMATS, part_of
from ds2f.dataset.keys import FileKey
from ds2f.dataset.queries import Dataset
from ds2f.errors import UserError
from ds2f.io.files import portable, replacing, write_json
from ds2f.io.images import details_of

Kind = Literal["faces", "export", "report", "training"]


@dataclass(frozen=True)
class Traces:
    """By what a person is known in what was written. files: recordings and pictures, those inside of a tar too."""

    corpus: str
    name: str
    files: frozenset[FileKey]


def remember(dataset: Dataset, kind: Kind, folder: Path) -> None:
    """Called before the first file is written to `folder`: what is written by a run that is killed counts too."""
    with dataset.transaction(counts=False):
        dataset.connection.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?)", (os.path.abspath(folder), kind))


def remembered(dataset: Dataset, kind: Kind) -> list[Path]:
    """Folders of a kind, some of which may be gone."""
    rows = dataset.connection.execute("SELECT path FROM outputs WHERE kind = ? ORDER BY path", (kind,))
    return [Path(row[0]) for row in rows]


def beside(folder: Path) -> Path:
    """Where an export is written before it is whole."""
    return folder.with_name(f".{folder.name}.ds2f-export")


def replaced(folder: Path) -> Path:
    """Where an earlier export is while a new one takes its place."""
    return folder.with_name(f".{folder.name}.ds2f-old")


# ── generated faces ───────────────────────────────────────────────────────────────────────────────────────────


def take_out_of_faces(folder: Path, person: Traces) -> int:
    """Delete the pictures drawn for the person, their identity vectors and their lines in generation.json: those that
    it names, and others of ours that bear the name of a clip, as an earlier or a killed run leaves them.

    Returns how many pictures went.
    """
    record = _read(folder / "generation.json")
    entries = [entry for entry in record.get("faces", []) if isinstance(entry, dict)]
    theirs = {str(entry["image"]) for entry in entries if "image" in entry and _is_theirs(entry, person)}
    others = {str(entry["image"]) for entry in entries if "image" in entry} - theirs
    gone = theirs | {name for name in _called_like(folder, person.files) if name not in others}
    kept = [entry for entry in entries if not _is_theirs(entry, person)]
    if "identity_vectors" in record and (vectors := folder / str(record["identity_vectors"])).is_file():
        _drop_vectors(vectors, gone)
    count = sum(delete(folder, name) for name in sorted(gone))
    if len(kept) < len(entries):
        write_json(folder / "generation.json", {**record, "faces": kept})
    return count


def _is_theirs(entry: dict[str, Any], person: Traces) -> bool:
    """Whether a line of generation.json is of the person: by root and path, by path alone in records of before, and by
    the place of the file where it was drawn without a dataset."""
    path = str(entry.get("input", ""))
    if "root" in entry:
        return FileKey(str(entry["root"]), path) in person.files
    return any(path == key.path or os.path.abspath(path) == os.path.join(*key) for key in person.files)


def _called_like(folder: Path, files: Iterable[FileKey]) -> Iterator[str]:
    """Pictures of ours in `folder` that bear a name that a clip's pictures may have, see `keys.picture_stems`."""
    for key in files:
        above = PurePosixPath(key.root).parts
        ends = [PurePosixPath(*above[-length:]) for length in range(1, len(above))]
        for path in (PurePosixPath(key.path).with_suffix(""), PurePosixPath(key.path)):
            plain = {path, *(end / path for end in ends)}
            for stem in plain | {PurePosixPath(portable(str(one))) for one in plain}:  # names of before, and of now
                place = folder / stem.parent
                for file in place.iterdir() if place.is_dir() else ():
                    numbered = re.fullmatch(re.escape(stem.name) + r"(~\d+)?(-\d+)?\.(png|webp|jpe?g)", file.name)
                    if numbered and details_of(file) is not None:
                        yield str(file.relative_to(folder))


def _drop_vectors(path: Path, names: set[str]) -> None:
    from safetensors.numpy import load_file, save_file

    vectors = load_file(path)
    if not vectors.keys().isdisjoint(names):
        with replacing(path) as aside:
            save_file({name: vector for name, vector in vectors.items() if name not in names}, aside)
            aside.chmod(0o644)  # safetensors writes files that nobody else may read


# ── exports ───────────────────────────────────────────────────────────────────────────────────────────────────


def take_out_of_export(folder: Path, person: Traces) -> int:
    """Write shards that hold the person anew, without them. Returns how many records went."""
    for torso in (beside(folder), replaced(folder)):  # of an export that was stopped: the next one starts again
        if torso.is_dir():
            shutil.rmtree(torso)
    record = _read(folder / "README.json")
    if (form := record.get("format")) in manifests.FILES:
        gone = manifests.without(folder, form, f"{person.corpus}/{person.name}")
        if gone:
            write_json(folder / "README.json", {**record, "records": record["records"] - gone})
        return gone
    if form not in FORMATS:
        return 0
    total = 0
    for shard in record["shards"]:
        path = folder / shard["file"]
        if not path.is_file():
            continue
        gone, left = FORMATS[record["format"]].without(path, person.corpus, person.name)
        total += gone
        if shard["records"] != left:  # also where an earlier run was killed between the shard and this line
            shard |= {"records": left, "bytes": path.stat().st_size}
            counts = {part: 0 for part in record["records"]}
            for other in record["shards"]:
                counts[part_of(other["file"])] += other["records"]
            write_json(folder / "README.json", {**record, "records": counts})
    return total


# ── reports ───────────────────────────────────────────────────────────────────────────────────────────────────


def take_out_of_report(folder: Path, person: Traces) -> int:
    """Delete a report that shows or names the person, and the pictures of its guided mode: the next `ds2f evaluate`
    makes it anew, without them. Returns how many files went."""
    metrics = folder / "metrics.json"
    named = {f"{person.corpus}/{person.name}", *(key.path for key in person.files)}
    shown = any(
        not named.isdisjoint((clip["person"], clip["path"], clip.get("reference")))
        for clip in _read(metrics).get("clips", ())
    )
    drawn = any(True for place in (folder / "guided").glob("*/*") for _ in _called_like(place, person.files))
    if metrics.is_file() and not shown and not drawn:
        return 0
    gone = [file for file in (folder / "report.html", metrics) if file.exists()]
    gone += [file for file in (folder / "guided").rglob("*") if file.is_file()]
    for file in gone:
        delete(folder, str(file.relative_to(folder)))
    return len(gone)


# ── what training has laid out ────────────────────────────────────────────────────────────────────────────────


def take_out_of_training(folder: Path) -> None:
    """Delete the faces that are packed for training, whoever is in them: the next training packs those that are left.
    Raises UserError if they cannot be deleted."""
    try:
        for record in folder.glob("*/packed.json"):
            shutil.rmtree(record.parent)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be deleted ({error.strerror}); mend that and run it again.") from None


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────


def delete(root: Path, path: str) -> bool:
    """Delete a file, and the folders above it, up to `root`, that held nothing else: they may bear the name.

    Returns whether it was there. Raises UserError if it cannot be deleted.
    """
    file = root / path
    there = os.path.lexists(file)
    try:
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == root or not folder.is_dir() or any(folder.iterdir()):
                break
            if folder.is_symlink():
                folder.resolve().rmdir()
                folder.unlink()
            else:
                folder.rmdir()
    except OSError as error:
        raise UserError(f"{file} cannot be deleted ({error.strerror}); mend that and run this command again.") from None
    return there


def _read(path: Path) -> dict[str, Any]:
    """A JSON file, {} where there is none. Raises UserError for one that is broken: it may name the person."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); mend or remove it, and run this command again.") from None
    return found if isinstance(found, dict) else {}
