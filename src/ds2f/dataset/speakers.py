"""Whom a model was trained on, stored in its JSON without names: short hashes of them.

Results on a trial list or a split that contains any of them measure memorisation. Names in published corpora are unique
to them; the name of a folder of a user's own files, such as "24", may mean somebody else elsewhere, so it is only a
hint.
"""

from __future__ import annotations

import hashlib

from ds2f.corpora.tables import LOCAL
from ds2f.dataset.queries import Dataset
from ds2f.dataset.schema import PERSON

UNSURE = "~"


def speaker_hash(corpus: str, name: str) -> str:
    """12 hexadecimal digits that stand for a person, prefixed with UNSURE if their name is only that of a folder.

    corpus: one of `corpora.BY_NAME`, or another that a manifest names; name: of an identity in it.
    Anyone who guesses the name can check the guess; the hash only prevents it from being read.
    """
    local = corpus in LOCAL
    said = f"folder:{name.rpartition('/')[2]}" if local else f"{corpus}:{name}"
    return UNSURE * local + hashlib.sha256(f"ds2f speaker {said}".encode()).hexdigest()[:12]


def is_sure(speaker: str) -> bool:
    """Whether a `speaker_hash` stands for one person everywhere, and not for the name of a folder."""
    return not speaker.startswith(UNSURE)


def speakers_of(dataset: Dataset, split: str) -> list[str]:
    """`speaker_hash` of everybody in a split who has a voice, under every name they have; sorted."""
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
