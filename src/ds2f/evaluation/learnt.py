"""People of the measured split from whom a model has learnt, as the hashes in its JSON say: it knows them by heart."""

from __future__ import annotations

from pathlib import Path

from ds2f.dataset import Dataset
from ds2f.dataset.speakers import people_of
from ds2f.errors import UserError
from ds2f.models import store


def learnt_from(dataset: Dataset, split: str, folder: Path, kind: str) -> str:
    """A sentence without its end that says how many; empty if there are none, if the model does not say whom it learnt
    from, and for the train split, which is said to be learnt from anyway. People whose only name is that of a folder
    of somebody's own may be others, and do not count.

    kind: "prior" or "alignment", of the model in the folder.
    """
    if split == "train":
        return ""
    try:
        known = set(store.description(folder, kind)["card"].get("people", ()))
    except UserError:  # no model, or one without this part
        return ""
    people = people_of(dataset, split).values()
    found = sum(any(hash in known for hash in names if not hash.startswith("~")) for names in people)
    return f"the {kind} in {folder} has learnt from {found:,} of the {len(people):,} people of {split}" if found else ""
