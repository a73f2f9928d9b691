"""Trials of people whom an encoder was trained on: it has memorised them, so its numbers would be meaningless."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ds2f.dataset.speakers import is_sure
from ds2f.errors import UserError
from ds2f.evaluation.speakers.encoding import NamedEncoder
from ds2f.evaluation.speakers.people import Speaker

SHOWN = 3  # speakers shown

Named = dict[str, tuple[str, ...]]


def trained_on(encoders: Sequence[NamedEncoder], speakers: Collection[Speaker]) -> tuple[Named, Named]:
    """{encoder: names of the speakers it was trained on}, twice: certain ones, from known corpora; and possible
    ones, which only share a folder name and may be other people, or which it heard without labels. Encoders without
    a record of their training speakers appear in neither."""
    certain: Named = {}
    perhaps: Named = {}
    for encoder in encoders:
        learnt: frozenset[str] = getattr(encoder.model, "trained_on", frozenset())
        heard: frozenset[str] = getattr(encoder.model, "heard_without_names", frozenset())
        sure = {hash for hash in learnt if is_sure(hash)}
        for found, hashes in ((certain, sure), (perhaps, (learnt | heard) - sure)):
            names = tuple(sorted(s.name for s in speakers if s.hash and s.hash in hashes))
            if names:
                found[encoder.name] = names
    return certain, perhaps


def refuse_trained(encoders: Sequence[NamedEncoder], speakers: Collection[Speaker], allow: bool) -> tuple[Named, Named]:
    """The results of `trained_on`. Raises UserError for any certain ones, unless allowed."""
    certain, perhaps = trained_on(encoders, speakers)
    for encoder, names in certain.items():
        if not allow:
            more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
            raise UserError(
                f"{encoder} was trained on {len(names):,} of the {len(speakers):,} speakers of the trials "
                f"({', '.join(names[:SHOWN])}{more}); use other trials, or set [evaluate] allow_leak = true, and the "
                "report names them."
            )
    return certain, perhaps
