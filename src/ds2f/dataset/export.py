"""Exports the dataset to files that other tools read: WebDataset shards for training loops, Parquet tables for queries.

FOLDER/README.json                what it is: dataset, fingerprint, models, columns, counts, shards
FOLDER/train-pairs-000000.tar     recordings with a voice and a face
FOLDER/train-faces-000000.tar     faces alone
FOLDER/train-voices-000000.tar    sounds whose faces are in other files; both have the same `person`
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from ds2f import __version__
from ds2f.dataset import manifests, outputs
from ds2f.dataset.formats import FORMATS, MADE_BY, README, part_of
from ds2f.dataset.queries import Dataset
from ds2f.dataset.records import PARTS, Records
from ds2f.dataset.splits import SPLITS
from ds2f.errors import UserError
from ds2f.io.files import write_json
from ds2f.types import Progress


@dataclass(frozen=True)
class Exported:
    """What an export wrote, including what an earlier, interrupted one had left. bytes: of all shards; left_out:
    recordings with a voice and a face that lack some vector, if only complete pairs were requested."""

    records: int
    shards: int
    bytes: int
    left_out: int = 0


def export(
    dataset: Dataset,
    form: str,
    folder: Path,
    splits: Sequence[str] = SPLITS,
    encoders: Sequence[str] = (),
    shard_mb: int = 256,
    progress: Progress | None = None,
    pairs: bool = False,
) -> Exported:
    """Write every file that has a face, and every sound that has a voice, into shards under `folder`.

    The shards are written next to `folder` and moved there at the end; after an interruption, the next call resumes
    after the last complete shard. An earlier export in `folder` is replaced.

    dataset: to export.
    form: "webdataset" or "parquet".
    folder: for the shards and README.json.
    splits: any of train, val and test.
    encoders: voice and face encoders whose vectors to export; none means all.
    shard_mb: size of a shard, in 10^6 bytes.
    progress: called with (records done, total).
    pairs: only recordings that have a voice, a face and every vector.
    Raises UserError for an unknown encoder, a missing package, nothing to export, or a folder that holds other things.
    """
    if form == "parquet" and find_spec("pyarrow") is None:
        raise UserError("The format parquet needs pyarrow; run: pip install 'ds2f[export]'")
    folder = Path(os.path.realpath(folder))  # the shards are written next to the folder, not next to a link to it
    _check(folder)
    outputs.remember(dataset, "export", folder)
    with dataset.snapshot():
        records = Records(dataset, encoders, FORMATS[form].sound)
        parts = {
            f"{split}-{part}": records.ids(split, part, pairs)
            for split in splits
            for part in (("pairs",) if pairs else PARTS)
        }
        records_in_all = sum(map(len, parts.values()))
        left_out = sum(len(records.ids(split, "pairs")) for split in splits) - records_in_all if pairs else 0
        parts = {name: ids for name, ids in parts.items() if ids}
        if not parts:
            what = "recordings with a voice, a face and every vector" if pairs else "faces or voices"
            raise UserError(f"{dataset.path} has no {what} to export; see: ds2f status --database {dataset.path}")
        header = _header(dataset, form, records, {name: len(ids) for name, ids in parts.items()}, shard_mb, pairs)
        aside = outputs.beside(folder)
        try:
            shards = _write(aside, header, records, parts, progress)
            _move(aside, folder)
        except OSError as error:
            raise UserError(
                f"The export to {folder} cannot be written ({error.strerror or error}); give another --out."
            ) from None
    return Exported(records_in_all, len(shards), sum(shard["bytes"] for shard in shards), left_out)


def export_manifest(
    dataset: Dataset, form: str, folder: Path, splits: Sequence[str] = SPLITS, progress: Progress | None = None
) -> tuple[int, int]:
    """Write a manifest as `manifests.write` does, with the same return value, and remember it so that forgetting a
    person also removes them from it.

    dataset: whose recordings to list.
    form: "lhotse" or "kaldi".
    folder: for the manifest; an earlier one in it is replaced.
    splits: any of train, val and test.
    progress: called with (recordings checked, total).
    Raises UserError as `manifests.write` does.
    """
    folder = Path(os.path.realpath(folder))
    manifests.prepare(folder)  # first: a folder that is refused holds nothing of ours, and is not to be remembered
    outputs.remember(dataset, "export", folder)
    return manifests.write(dataset, form, folder, splits, progress)


def _header(
    dataset: Dataset, form: str, records: Records, counts: dict[str, int], shard_mb: int, pairs: bool
) -> dict[str, Any]:
    """What README.json states besides the list of shards. Two exports with the same header write the same shards."""
    return {
        "made_by": MADE_BY,
        "version": __version__,
        "format": form,
        "dataset": dataset.name(),
        "fingerprint": dataset.fingerprint(),
        "changes": dataset.changes(),
        "encoders": sorted({c.source for c in records.columns if c.kind == "vector"}),
        "recipes": {k: json.loads(v) for k, v in dataset.connection.execute("SELECT key, settings FROM recipes")},
        "records": counts,
        "pairs": pairs,
        "shard_mb": shard_mb,
        "columns": [{k: v for k, v in asdict(column).items() if v} for column in records.columns],
    }


def _write(
    aside: Path, header: dict[str, Any], records: Records, parts: dict[str, list[int]], progress: Progress | None
) -> list[dict[str, Any]]:
    """Write all shards into `aside`, resuming after those listed in its README.json. Returns the complete list."""
    shards: list[dict[str, Any]] = []
    left = read_header(aside)
    if left is not None and {k: v for k, v in left.items() if k != "shards"} == header:
        shards = left["shards"]
    else:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    done, total = sum(shard["records"] for shard in shards), sum(map(len, parts.values()))

    def tick(written: int) -> None:
        if progress:
            progress(done + written, total)

    tick(0)
    for part, ids in parts.items():
        if header["format"] == "webdataset":
            random.Random(part).shuffle(ids)  # tars are read sequentially: neighbours should be unrelated
        finished = [shard for shard in shards if part_of(shard["file"]) == part]
        number, start = len(finished), sum(shard["records"] for shard in finished)
        while start < len(ids):
            path = aside / f"{part}-{number:06d}{FORMATS[header['format']].suffix}"
            written = _write_shard(path, header, records, islice(ids, start, None), tick)
            shards.append({"file": path.name, "records": written, "bytes": path.stat().st_size})
            write_json(aside / README, {**header, "shards": shards})
            number, start, done = number + 1, start + written, done + written
    return shards


def _write_shard(
    path: Path, header: dict[str, Any], records: Records, ids: Iterable[int], tick: Callable[[int], None]
) -> int:
    """Write records until the shard is large enough. Returns how many."""
    written = 0
    file = FORMATS[header["format"]](path, records.columns)
    with contextlib.closing(file):
        for video_id in ids:
            file.add(records.read(video_id))
            written += 1
            tick(written)
            if file.size() >= header["shard_mb"] * 10**6:
                break
        file.finish()
    return written


def _check(folder: Path) -> None:
    """Raises UserError unless `folder` does not exist, is empty, or holds an earlier export, and can be renamed."""
    if os.path.ismount(folder):
        raise UserError(f"{folder} is a mount point, which an export cannot replace; give a folder in it as --out.")
    try:
        if not folder.exists() or (not any(folder.iterdir())):
            return
    except OSError as error:
        raise UserError(f"{folder} cannot be used ({error.strerror}); give another --out.") from None
    if read_header(folder) is None:
        raise UserError(f"{folder} holds things that ds2f export did not write; give a new folder as --out.")


def _move(aside: Path, folder: Path) -> None:
    old = outputs.replaced(folder)
    if folder.exists():
        outputs.clear(old)
        folder.rename(old)
    aside.rename(folder)
    outputs.clear(old)  # possibly left by a killed run


def read_header(folder: Path) -> dict[str, Any] | None:
    """README.json of an export, or None if there is none or it is not ours."""
    try:
        found = json.loads((folder / README).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("made_by") == MADE_BY else None
