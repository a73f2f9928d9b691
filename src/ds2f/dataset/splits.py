"""Which split a person is in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ds2f.config import Split

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class SplitRule(Split):
    """Assigns people to splits by a fixed function of seed and name, so that nobody moves when a corpus grows. Its
    numbers are those of [split] in ds2f.toml."""

    def of(self, corpus: str, name: str) -> str:
        """train, val or test for an identity."""
        digest = hashlib.sha256(f"{self.seed}:{corpus}:{name}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64  # uniform in [0, 1)
        return "test" if share >= 1 - self.test else "val" if share >= 1 - self.test - self.val else "train"
