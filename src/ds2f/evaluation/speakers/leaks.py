"""Trials of people whom an encoder was trained on: it knows them by heart, and its numbers would say nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ds2f.errors import UserError
from ds2f.evaluation.speakers.encoding import NamedEncoder
from ds2f.evaluation.speakers.people import Speaker

SHOWN = 3  # of the speakers

Named = dict[str, tuple[str, ...]]


def trained_on(encoders: Sequence[NamedEncoder], speakers: Collection[Speaker]) -> tuple[Named, Named]:
    """{encoder: names of the speakers that it was trained on}: those of known corpora, and those of whom a folder of
    the same name is all that is known, who may be others, or whom it heard without being told who they are. Encoders
    that do not say whom they learnt from are in none.
    """
    certain: Named = {}
    perhaps: Named = {}
    for encoder in encoders:
        learnt: frozenset[str] = getattr(encoder.model, "trained_on", frozenset())
        heard: frozenset[str] = getattr(encoder.model, "heard_without_names", frozenset())
        sure = {hash for hash in learnt if not hash.startswith("~")}
        for found, hashes in ((certain, sure), (perhaps, (learnt | heard) - sure)):
            names = tuple(sorted(s.name for s in speakers if s.hash and s.hash in hashes))
            if names:
                found[encoder.name] = names
    return certain, perhaps


def refuse_trained(encoders: Sequence[NamedEncoder], speakers: Collection[Speaker], allow: bool) -> tuple[Named, Named]:
    """What `trained_on` finds. Raises UserError for any that is certain, unless they are allowed."""
    certain, perhaps = trained_on(encoders, speakers)
    for encoder, names in certain.items():
        if not allow:
            more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
            raise UserError(
                f"{encoder} was trained on {len(names):,} of the {len(speakers):,} speakers of the trials "
                f"({', '.join(names[:SHOWN])}{more}); take other trials, or set [evaluate] allow_leak = true, and the "
                "report names them."
            )
    return certain, perhaps
