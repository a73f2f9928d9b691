"""Faces with everything known about them, the decoders' training data: recordings and stills of a dataset, in memory
or, if there are many, in a file (`packed`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ds2f.dataset import Dataset, outputs
from ds2f.dataset.faces import count_faces
from ds2f.models import store
from ds2f.models.conditioning import Condition, Conditions
from ds2f.training.packed import FaceFile, Place, pack
from ds2f.training.reading import GIVEN, NUMBERS, FaceReader
from ds2f.types import VOICE

LOOKED_AT = 16_384  # faces whose conditions are in memory while statistics are computed
VALIDATED = 256  # faces of the validation split that are used
SAMPLE = 1_000  # faces of it that a dry run uses


class Faces(Protocol):
    """n faces to train a decoder on, wherever they are stored. dims: {condition: its length}, for known conditions."""

    @property
    def dims(self) -> dict[str, int]: ...

    def __len__(self) -> int: ...

    def images(self, rows: Tensor) -> Tensor:
        """(k,) int64 rows to (k, 3, size, size) uint8."""
        ...

    def known(self, rows: Tensor) -> Conditions:
        """The conditions of (k,) int64 rows."""
        ...


@dataclass(frozen=True)
class FaceData:
    """Faces in memory. image: (n, 3, size, size) uint8; conditions: what is known about each face, by the names in
    `models.decoder.ALL_CONDITIONS`; always includes identity and coverage."""

    image: Tensor
    conditions: dict[str, Condition]

    def __len__(self) -> int:
        return len(self.image)

    @property
    def dims(self) -> dict[str, int]:
        return {name: c.value.shape[1] for name, c in self.conditions.items()}

    def images(self, rows: Tensor) -> Tensor:
        return self.image[rows.to(self.image.device)]

    def known(self, rows: Tensor) -> Conditions:
        rows = rows.to(self.image.device)
        return {name: Condition(c.value[rows], c.given[rows]) for name, c in self.conditions.items()}

    def of(self, name: str) -> Tensor:
        """The values of a condition where it is known: (m, d)."""
        return self.conditions[name].value[self.conditions[name].given]


class PackedFaces:
    """Faces in a file, see `packed`: rows are read on demand, and no process holds more than a batch."""

    def __init__(self, file: FaceFile) -> None:
        self._file = file
        self.dims = {
            name: shape[0]
            for name in file.known.dtype.names or ()
            if (shape := file.known.dtype[name].shape) and name in file.given
        }

    def __len__(self) -> int:
        return len(self._file.image)

    def images(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(self._file.image.rows(rows.numpy()))

    def known(self, rows: Tensor) -> Conditions:
        found = self._file.known.rows(rows.numpy())
        return {
            name: Condition(
                torch.from_numpy(np.ascontiguousarray(found[name])),
                torch.from_numpy(np.ascontiguousarray(found[GIVEN + name])),
            )
            for name in self.dims
        }


def load_faces(
    dataset: Dataset,
    split: str,
    size: int,
    voices: Sequence[str] = (VOICE,),
    languages: Sequence[str] = (),
    seconds: float | None = None,
    most: int | None = None,
) -> FaceData:
    """Faces of a split, in memory. Raises UserError if there are none, none of this size, or no such voices.

    dataset: to read from.
    split: train, val or test.
    size: pixels.
    voices: speaker encoders (and "acoustics") that the decoder gets as conditions, where stored.
    languages: ISO codes that it distinguishes.
    seconds: length of the clips behind the voices; None for the dataset's most common.
    most: number of faces, the first in the order of ingest; None for all.
    """
    with dataset.snapshot():
        reader = FaceReader(dataset, split, size, voices, languages, seconds)
        count = reader.count if most is None else min(most, reader.count)
        image = np.empty((count, 3, size, size), np.uint8)
        known = np.zeros(count, reader.dtype)
        place = 0
        for pixels, rows in reader.blocks(most):
            image[place : place + len(rows)], known[place : place + len(rows)] = pixels, rows
            place += len(rows)
        given = reader.finish()
    reader.fill(known)
    conditions = {
        name: Condition(torch.from_numpy(known[name].copy()), torch.from_numpy(known[GIVEN + name].copy()))
        for name in given
    }
    return FaceData(torch.from_numpy(image), conditions)


def pack_faces(
    dataset: Dataset,
    split: str,
    size: int,
    voices: Sequence[str],
    languages: Sequence[str],
    seconds: float | None,
    place: Place,
) -> PackedFaces:
    """The same faces in a file, created unless another process or an earlier run has created it from the same data.
    Raises UserError as `load_faces` does, and if the folder cannot be written.

    dataset: to read from.
    split: train, val or test.
    size: pixels.
    voices: speaker encoders (and "acoustics") that the decoder gets as conditions, where stored.
    languages: ISO codes that it distinguishes.
    seconds: length of the clips behind the voices; None for the dataset's most common.
    place: of the file.
    """
    outputs.remember(dataset, "training", place.folder)
    with dataset.snapshot():
        reader = FaceReader(dataset, split, size, voices, languages, seconds, place.progress)
        of_models = [dataset.attribute_model(), reader.seconds, list(voices), list(languages)]
        facts = [dataset.name(), dataset.fingerprint(), dataset.changes(), *of_models]
        return PackedFaces(pack(place.folder, f"{split}-{size}", facts, reader.count, (3, size, size), reader))


def load_splits(
    dataset: Dataset,
    model: Path,
    size: int,
    voices: Sequence[str],
    languages: Sequence[str],
    place: Place,
    sample: bool = False,
) -> tuple[FaceData, Faces]:
    """The first faces of the validation split and all of train; see `load_faces`.

    dataset: to read from.
    model: folder for the decoder. Voices are from clips of the length that the prior there uses, as in drawing.
    size: pixels.
    voices: speaker encoders (and "acoustics") that the decoder gets as conditions.
    languages: ISO codes that it distinguishes.
    place: for those of train.
    sample: use the validation split for both.
    """
    seconds = store.load_prior(model).config.clip_seconds if (model / "prior.json").exists() else None
    if sample:
        some = load_faces(dataset, "val", size, voices, languages, seconds, SAMPLE)
        return some, some
    held_out = load_faces(dataset, "val", size, voices, languages, seconds, VALIDATED)
    each = 3 * size * size + sum(NUMBERS.itemsize * d for d in held_out.dims.values())
    if count_faces(dataset, "train") * each <= place.most_bytes:
        return held_out, load_faces(dataset, "train", size, voices, languages, seconds)
    return held_out, pack_faces(dataset, "train", size, voices, languages, seconds, place)


def pixels_of(data: Faces, rows: Tensor, device: torch.device) -> Tensor:
    """(n, 3, size, size) float32 in [-1, 1], on a device; bytes are transferred, not floats."""
    return data.images(rows).to(device).float() / 127.5 - 1


def near(data: Faces, device: torch.device) -> Faces:
    """The faces on a GPU, if they fit into a third of its free memory: selected, flipped and degraded there, they keep
    up with it. On a CPU, or if there are too many, unchanged."""
    if device.type != "cuda":
        return data
    first = data.images(torch.arange(1))
    if len(data) * first[0].numel() > torch.cuda.mem_get_info(device)[0] / 3:
        return data
    image = torch.empty((len(data), *first.shape[1:]), dtype=torch.uint8, device=device)
    conditions = {
        name: Condition(
            torch.empty(len(data), d, device=device), torch.empty(len(data), dtype=torch.bool, device=device)
        )
        for name, d in data.dims.items()
    }
    for rows in torch.arange(len(data)).split(LOOKED_AT):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        image[part] = data.images(rows).to(device)
        for name, known in data.known(rows).items():
            conditions[name].value[part], conditions[name].given[part] = known.value.to(device), known.given.to(device)
    return FaceData(image, conditions)


def statistics(data: Faces) -> dict[str, tuple[Tensor, Tensor]]:
    """{condition: mean and standard deviation, (d,) float32, over its known values}, by sums over blocks."""
    sums = {name: torch.zeros(3, d, dtype=torch.float64) for name, d in data.dims.items()}
    for rows in torch.arange(len(data)).split(LOOKED_AT):
        for name, known in data.known(rows).items():
            value = known.value[known.given].double().cpu()
            sums[name] += torch.stack([torch.full_like(value[:1].sum(0), len(value)), value.sum(0), (value**2).sum(0)])
    found = {}
    for name, (count, total, squares) in sums.items():
        mean = total / count
        found[name] = mean.float(), (squares / count - mean**2).clamp_min(0).sqrt().float()
    return found


def above(data: Faces, least: Mapping[str, float]) -> Tensor:
    """(m,) int64: faces for which all of some conditions are known and exceed `least`."""
    blocks = torch.arange(len(data)).split(LOOKED_AT)
    return torch.cat([rows[_above(data.known(rows), least, len(rows))] for rows in blocks])


def _above(known: Conditions, least: Mapping[str, float], count: int) -> Tensor:
    found = torch.ones(count, dtype=torch.bool)
    for name, value in least.items():
        if name not in known:
            return torch.zeros_like(found)
        found &= ((known[name].value[:, 0] > value) & known[name].given).cpu()
    return found
