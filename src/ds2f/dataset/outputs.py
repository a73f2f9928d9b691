"""What was written from a dataset: generated faces, exports, reports. Their folders are recorded in the table
`outputs`, so that a person who is forgotten can be removed from them too."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ds2f.dataset import manifests
from ds2f.dataset.formats import FORMATS, MADE_BY, README, part_of
from ds2f.dataset.keys import FileKey
from ds2f.dataset.queries import Dataset
from ds2f.errors import UserError
from ds2f.io.files import portable, replacing, write_json
from ds2f.io.images import details_of

Kind = Literal["faces", "export", "report", "training"]


@dataclass(frozen=True)
class Traces:
    """What identifies a person in outputs. files: recordings and pictures, including those inside a tar."""

    corpus: str
    name: str
    files: frozenset[FileKey]


def remember(dataset: Dataset, kind: Kind, folder: Path) -> None:
    """Record an output folder. Called before the first file is written to it, so that the output of a killed run is
    covered too."""
    with dataset.transaction(counts=False):
        dataset.connection.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?)", (os.path.abspath(folder), kind))


def remembered(dataset: Dataset, kind: Kind) -> list[Path]:
    """Folders of a kind, some of which may no longer exist."""
    rows = dataset.connection.execute("SELECT path FROM outputs WHERE kind = ? ORDER BY path", (kind,))
    return [Path(row[0]) for row in rows]


def beside(folder: Path) -> Path:
    """Where an export is written until it is complete."""
    return folder.with_name(f".{folder.name}.ds2f-export")


def replaced(folder: Path) -> Path:
    """Where an earlier export is kept while a new one takes its place."""
    return folder.with_name(f".{folder.name}.ds2f-old")


def clear(folder: Path) -> None:
    """Delete what an interrupted export has left, if anything; of a link, only the link itself."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.is_dir():
        shutil.rmtree(folder)


# ── generated faces ───────────────────────────────────────────────────────────────────────────────────────────


def rename_roots(folder: Path, names: Mapping[str, str]) -> None:
    """Let generation.json call moved folders of the dataset by their new paths. names: {old: new}."""
    record = _read(folder / "generation.json")
    moved = [e for e in record.get("faces", []) if isinstance(e, dict) and e.get("root") in names]
    for entry in moved:
        entry["root"] = names[entry["root"]]
    if moved:
        write_json(folder / "generation.json", record)


def take_out_of_faces(folder: Path, person: Traces) -> int:
    """Delete the pictures drawn for the person, their identity vectors and their entries in generation.json: pictures
    that it lists, and others of ours that are named after a clip, as an earlier or killed run leaves them.

    Returns how many pictures were deleted.
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
    """Whether an entry of generation.json belongs to the person: by root and path, by path alone in records of earlier
    versions, and by the location of the file if it was drawn without a dataset."""
    path = str(entry.get("input", ""))
    if "root" in entry:
        return FileKey(str(entry["root"]), path) in person.files
    return any(path == key.path or os.path.abspath(path) == os.path.join(*key) for key in person.files)


def _called_like(folder: Path, files: Iterable[FileKey]) -> Iterator[str]:
    """Pictures of ours in `folder` with a name that a clip's pictures may have; see `keys.picture_stems`."""
    for key in files:
        above = PurePosixPath(key.root).parts
        ends = [PurePosixPath(*above[-length:]) for length in range(1, len(above))]
        for path in (PurePosixPath(key.path).with_suffix(""), PurePosixPath(key.path)):
            plain = {path, *(end / path for end in ends)}
            for stem in plain | {PurePosixPath(portable(str(one))) for one in plain}:  # old and new names
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
            aside.chmod(0o644)  # safetensors creates files that only the owner may read


# ── exports ───────────────────────────────────────────────────────────────────────────────────────────────────


def take_out_of_export(folder: Path, person: Traces) -> int:
    """Rewrite shards that contain the person, without them. Returns how many records were removed."""
    for torso in (beside(folder), replaced(folder)):  # left by an interrupted export; the next one starts afresh
        clear(torso)
    record = _read(folder / README)
    if record.get("made_by") != MADE_BY:
        return 0  # somebody else's
    if (form := record.get("format")) in manifests.FILES:
        gone = manifests.without(folder, f"{person.corpus}/{person.name}")
        if gone:
            write_json(folder / README, {**record, "records": max(0, record["records"] - gone)})
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
        if shard["records"] != left:  # also if an earlier run was killed before it reached this line
            shard |= {"records": left, "bytes": path.stat().st_size}
            counts = {part: 0 for part in record["records"]}
            for other in record["shards"]:
                counts[part_of(other["file"])] += other["records"]
            write_json(folder / README, {**record, "records": counts})
    return total


# ── reports ───────────────────────────────────────────────────────────────────────────────────────────────────


def take_out_of_report(folder: Path, person: Traces) -> int:
    """Delete a report that shows or names the person, and the pictures of its guided mode: the next `ds2f evaluate`
    recreates it without them. Returns how many files were deleted."""
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
    """Delete the faces that are packed for training, whoever they show: the next training packs those that remain.
    Raises UserError if they cannot be deleted."""
    try:
        for record in folder.glob("*/packed.json"):
            shutil.rmtree(record.parent)
    except OSError as error:
        raise UserError(
            f"{error.filename} cannot be deleted ({error.strerror}); fix that and run this command again."
        ) from None


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────


def delete(root: Path, path: str) -> bool:
    """Delete a file, and the folders above it, up to `root`, that held nothing else, since their names may identify the
    person.

    Returns whether it existed. Raises UserError if it cannot be deleted.
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
        raise UserError(f"{file} cannot be deleted ({error.strerror}); fix that and run this command again.") from None
    return there


def _read(path: Path) -> dict[str, Any]:
    """A JSON file, {} if it does not exist. Raises UserError for one that is broken, because it may name the person."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); repair or remove it, and run this command again.") from None
    return found if isinstance(found, dict) else {}
