"""What makes numbers optimistic: people, videos and files that the measured split shares with train, and people from
whom the model that drew the pictures has learnt. Such evaluations are refused unless allowed, and then say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ds2f.dataset import Dataset
from ds2f.dataset.clips import leaks
from ds2f.dataset.speakers import is_sure, people_of
from ds2f.errors import UserError
from ds2f.models import folders


def refuse(found: Sequence[str], allowed: bool) -> None:
    """Raise UserError for leaks that are not allowed."""
    if found and not allowed:
        raise UserError(
            f"These numbers would be optimistic: {'; '.join(found)}. Measure other people, or allow it (--allow-leak, "
            "or allow_leak = true under [evaluate]), and the report will say so."
        )


def leaks_of(dataset: Dataset, split: str, images: Iterable[Path] = (), models: Iterable[Path] = ()) -> list[str]:
    """A sentence for each leak of a split.

    dataset: that is measured.
    split: of it.
    images: folders of pictures, whose generation.json says by which model they were drawn.
    models: folders of further models that draw.
    """
    drawn_by = [place for place in map(model_of, images) if place is not None]
    known = (learnt_from(dataset, split, place, "prior") for place in dict.fromkeys([*drawn_by, *models]))
    return [*leaks(dataset, split), *filter(None, known)]


def learnt_from(dataset: Dataset, split: str, folder: Path, kind: str) -> str:
    """A sentence without its end that says from how many people of the split a model has learnt, by the hashes in its
    JSON. Empty if from none, if the model does not say, and for the train split, which the report calls learnt from
    anyway. People whose only name is that of a folder of a user's own files may be others, and do not count.

    dataset, split: whose people.
    folder: of the model.
    kind: "prior" or "alignment", of the model in the folder.
    """
    if split == "train":
        return ""
    try:
        known = set(folders.description(folder, kind)["card"].get("people", ()))
    except UserError:  # no model, or one without this part
        return ""
    people = people_of(dataset, split).values()
    found = sum(any(hash in known for hash in names if is_sure(hash)) for names in people)
    return f"the {kind} in {folder} has learnt from {found:,} of the {len(people):,} people of {split}" if found else ""


def model_of(images: Path) -> Path | None:
    """The folder of the model that drew some pictures: the one that generation.json names, or the one that ships with
    ds2f, whichever holds the prior whose hash is recorded there. None if neither does."""
    model = generation_of(images).get("model")
    recorded = model if isinstance(model, dict) else {}
    for folder in (Path(str(recorded.get("folder", ""))), folders.shipped()):
        if (folder / "prior.safetensors").is_file() and folders.digest(folder, "prior") == recorded.get("prior"):
            return folder
    return None


def generation_of(images: Path) -> dict[str, Any]:
    """What the generator recorded about itself; another method's folder has no such file."""
    try:
        noted = json.loads((images / "generation.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"generation.json in {images} cannot be read ({error}); remove or repair it.") from None
    if not isinstance(noted, dict):
        return {"generation": noted}
    return {name: value for name, value in noted.items() if name not in ("faces", "notice", "identity_vectors")}
