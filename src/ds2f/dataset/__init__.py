"""The dataset: one SQLite file. `schema` defines its tables, `queries` reads and changes it; no other package speaks
SQL."""

from ds2f.dataset.queries import Dataset

__all__ = ["Dataset"]
