"""Faces with all that is known of them, as the decoders learn from them: recordings and stills of a dataset."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ds2f.dataset import Dataset
from ds2f.dataset.clips import clip_facts
from ds2f.dataset.recordings import Spoken, portraits, recordings, spoken, stored_voices
from ds2f.errors import UserError
from ds2f.io.images import decode_image
from ds2f.models import store
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import one_hot, voice_condition
from ds2f.training.pairs import check_voices
from ds2f.types import ETHNICITIES, VOICE, Attributes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FaceData:
    """image: (n, 3, size, size) uint8; conditions: what is known of each face, by the names of
    `models.decoder.ALL_CONDITIONS`; identity and coverage are always among them."""

    image: Tensor
    conditions: dict[str, Condition]

    def __len__(self) -> int:
        return len(self.image)

    def of(self, name: str) -> Tensor:
        """The values of a condition where it is known: (m, d)."""
        return self.conditions[name].value[self.conditions[name].given]


def load_faces(
    dataset: Dataset,
    split: str,
    size: int,
    voices: Sequence[str] = (VOICE,),
    languages: Sequence[str] = (),
    seconds: float | None = None,
) -> FaceData:
    """All faces of a split, in memory. Raises UserError if there are none, none so large, or no such voices.

    dataset: that holds them.
    split: train, val or test.
    size: pixels.
    voices: speaker encoders, and "acoustics", whose word the decoder shall hear, where there is any.
    languages: ISO codes that it shall know.
    seconds: length of the clips behind the voices; None for the dataset's most common.
    """
    if stored_voices(dataset):
        check_voices(dataset, voices)
    rows = list(dataset.faces(split))
    if not rows:
        raise UserError(f"{dataset.path} has no faces in split {split!r}; run `ds2f extract` first, or ingest more.")
    images = np.empty((len(rows), size, size, 3), np.uint8)
    stored = len(decode_image(rows[0].crop))
    if stored < size:
        raise UserError(
            f"{dataset.path} holds faces of {stored} px, and {size} px are wanted; set [faces] crop_size = {size} and "
            f"run `ds2f extract` again, or [train] decoder_size to {stored} or less."
        )

    def read(i: int) -> None:
        crop = decode_image(rows[i].crop)
        images[i] = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) if crop.shape[0] != size else crop

    with ThreadPoolExecutor() as threads:  # OpenCV works outside of Python's lock
        list(threads.map(read, range(len(rows))))
    looks = [row.attributes for row in rows]
    heard, facts = _heard(dataset, split), clip_facts(dataset, split)
    told = [heard.get(row.video_id) for row in rows]
    seconds = dataset.clip_seconds(voices[0]) if seconds is None else seconds
    spoken = [facts[row.video_id].language if row.video_id in facts else "" for row in rows]
    conditions = {
        "identity": _known([row.identity for row in rows]),
        "coverage": _known([[row.coverage] for row in rows]),
        **{voice_condition(name): _known([r.heard(name, seconds) if r else None for r in told]) for name in voices},
        "age": _known([[a.age] if a else None for a in looks]),
        "gender": _known([[a.gender["female"]] if a else None for a in looks]),
        "ethnicity": _known([_ethnicity(a) for a in looks]),
        "language": _known([one_hot(languages, code) if code in languages else None for code in spoken]),
    }
    if heard and conditions[voice_condition(voices[0])] is None:
        raise UserError(
            f"{dataset.path} has no voices of {voices[0]} of {seconds:g} s in split {split!r}; add {seconds:g} to "
            "[audio] clip_seconds, and run `ds2f extract` again."
        )
    if conditions["gender"] is not None and conditions["ethnicity"] is None and split == "train":
        logger.warning(
            "The attribute model names other ethnicities than %s: the decoder learns age and gender of it alone.",
            ", ".join(ETHNICITIES),
        )
    known = {name: condition for name, condition in conditions.items() if condition is not None}
    return FaceData(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), known)


def _heard(dataset: Dataset, split: str) -> dict[int, Spoken]:
    """{file: the voice that goes with its face}: a video's own; with a still picture any of its person's, one after the
    other in a circle."""
    found: dict[int, Spoken] = {r.video_id: r for r in recordings(dataset, split)}
    stills = list(portraits(dataset, split))
    of_person: dict[str, list[Spoken]] = {}
    for voice in spoken(dataset, split) if stills else ():
        of_person.setdefault(voice.person, []).append(voice)
    for place, still in enumerate(stills):
        if own := of_person.get(still.person):
            found[still.video_id] = own[place % len(own)]
    return found


def load_splits(
    dataset: Dataset, model: Path, size: int, voices: Sequence[str], languages: Sequence[str], sample: bool = False
) -> tuple[FaceData, FaceData]:
    """Of the validation split and of train, see `load_faces`.

    dataset: that holds them.
    model: folder where the decoder will lie. Voices are learnt as the prior there hears them, and will be drawn by.
    size: pixels.
    voices: speaker encoders, and "acoustics", that the decoder shall hear.
    languages: ISO codes that it shall know.
    sample: of the validation split alone, twice.
    """
    seconds = store.load_prior(model).config.clip_seconds if (model / "prior.json").exists() else None
    held_out = load_faces(dataset, "val", size, voices, languages, seconds)
    return held_out, held_out if sample else load_faces(dataset, "train", size, voices, languages, seconds)


def pixels_of(data: FaceData, rows: Tensor, device: torch.device) -> Tensor:
    """(n, 3, size, size) float32 in [-1, 1], on a device; bytes travel, not floats."""
    return data.image[rows.to(data.image.device)].to(device).float() / 127.5 - 1


def near(data: FaceData, device: torch.device) -> FaceData:
    """The faces on a GPU, if a third of its free memory holds them: picked, flipped and spoilt there, they keep up with
    it. On a CPU, and where there are too many, as they are."""
    if device.type != "cuda" or data.image.numel() > torch.cuda.mem_get_info(device)[0] / 3:
        return data
    conditions = {k: Condition(c.value.to(device), c.given.to(device)) for k, c in data.conditions.items()}
    return FaceData(data.image.to(device), conditions)


def spoken_languages(dataset: Dataset) -> list[str]:
    """ISO codes of what is spoken in the train split, in alphabetical order."""
    return sorted({facts.language for facts in clip_facts(dataset, "train").values()} - {""})


def _ethnicity(looks: Attributes | None) -> list[float] | None:
    """In the classes of ETHNICITIES; None of a model that has others."""
    if looks is None or not looks.ethnicity.keys() >= set(ETHNICITIES):
        return None
    return [looks.ethnicity[name] for name in ETHNICITIES]


def _known(values: Sequence[np.ndarray | list[float] | None]) -> Condition | None:
    """One condition of vectors of which some may be missing; None if all are. A number that could not be measured,
    NaN, is taken to be as it is on average."""
    first = next((value for value in values if value is not None), None)
    if first is None:
        return None
    filled = np.stack([np.asarray(first if value is None else value, np.float32) for value in values])
    missing = np.isnan(filled)
    if missing.any():
        average = np.nansum(filled, axis=0) / np.maximum((~missing).sum(0), 1)
        filled = np.where(missing, average, filled).astype(np.float32)
    return Condition(torch.from_numpy(filled), torch.tensor([value is not None for value in values]))
