"""The dataset: one SQLite file. `schema` says what is in it, `queries` asks it; no other room speaks SQL."""

from ds2f.dataset.queries import Dataset

__all__ = ["Dataset"]
