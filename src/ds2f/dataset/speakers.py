"""Whom a model has been trained on, as its JSON says it without naming anybody: short hashes of names.

A list of trials, or a split, that names any of them measures what the model has learnt by heart. Names of published
corpora are their own; the name of a folder of somebody's own files, "24", may be another person elsewhere, so that it
is a hint.
"""

from __future__ import annotations

import hashlib

from ds2f.corpora.tables import LOCAL
from ds2f.dataset.queries import Dataset
from ds2f.dataset.schema import PERSON


def speaker_hash(corpus: str, name: str) -> str:
    """12 hexadecimal digits that stand for somebody, "~" in front where their name is that of a folder alone.

    corpus: of `corpora.BY_NAME`, or another that a manifest names; name: of an identity in it.
    Whoever guesses the name can check the guess: the hash keeps it from being read, no more.
    """
    local = corpus in LOCAL
    said = f"folder:{name.rpartition('/')[2]}" if local else f"{corpus}:{name}"
    return "~" * local + hashlib.sha256(f"ds2f speaker {said}".encode()).hexdigest()[:12]


def speakers_of(dataset: Dataset, split: str) -> list[str]:
    """`speaker_hash` of everybody of a split who has a voice, by all their names; sorted."""
    return sorted(set().union(*people_of(dataset, split).values()))


def people_of(dataset: Dataset, split: str) -> dict[int, set[str]]:
    """{identity that stands for a person: `speaker_hash` of all names that they go by in the dataset and in the tables
    of people that it has read} of everybody of a split who has a voice."""
    found: dict[int, set[str]] = {}
    for person, corpus, name in dataset.connection.execute(
        f"WITH own AS (SELECT {PERSON} AS person, i.corpus, i.name FROM identities i WHERE i.split = ? AND {PERSON} IN"
        f" (SELECT {PERSON} FROM speech s JOIN videos v ON v.id = s.video_id"
        " JOIN identities i ON i.id = v.identity_id))"
        " SELECT person, corpus, name FROM own UNION SELECT own.person, other.corpus, other.name FROM own"
        " JOIN known_as k ON k.corpus = own.corpus AND k.name = own.name"
        " JOIN known_as other ON other.source = k.source AND other.row = k.row",
        (split,),
    ):
        found.setdefault(person, set()).add(speaker_hash(corpus, name))
    return found
