"""Trials of people whom an encoder was trained on: it knows them by heart, and its numbers would say nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ds2f.errors import UserError
from ds2f.evaluation.speakers.hear import Ear
from ds2f.evaluation.speakers.people import Speaker

SHOWN = 3  # of the speakers

Named = dict[str, tuple[str, ...]]


def trained_on(ears: Sequence[Ear], speakers: Collection[Speaker]) -> tuple[Named, Named]:
    """{encoder: names of the speakers that it was trained on}: those of known corpora, and those of whom a folder of
    the same name is all that is known, who may be others. Encoders that do not say whom they learnt from are in none.
    """
    certain: Named = {}
    perhaps: Named = {}
    for ear in ears:
        learnt: frozenset[str] = getattr(ear.encoder, "trained_on", frozenset())
        known = [speaker for speaker in speakers if speaker.hash and speaker.hash in learnt]
        for found, hint in ((certain, False), (perhaps, True)):
            names = tuple(sorted(s.name for s in known if s.hash.startswith("~") == hint))
            if names:
                found[ear.name] = names
    return certain, perhaps


def refuse_trained(ears: Sequence[Ear], speakers: Collection[Speaker], allow: bool) -> tuple[Named, Named]:
    """What `trained_on` finds. Raises UserError for any that is certain, unless they are allowed."""
    certain, perhaps = trained_on(ears, speakers)
    for encoder, names in certain.items():
        if not allow:
            more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
            raise UserError(
                f"{encoder} was trained on {len(names):,} of the {len(speakers):,} speakers of the trials "
                f"({', '.join(names[:SHOWN])}{more}); take other trials, or set [evaluate] allow_leak = true, and the "
                "report names them."
            )
    return certain, perhaps
