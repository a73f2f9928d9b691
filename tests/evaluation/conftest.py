"""The made-up people, once for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2f.dataset.queries import Dataset, Pair
from made_up_people import make_dataset


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "dataset.db"
    make_dataset(path)
    return path


@pytest.fixture(scope="session")
def pairs(database: Path) -> list[Pair]:
    with Dataset(database) as data:
        return data.pairs("test")
