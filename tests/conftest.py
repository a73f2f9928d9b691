"""Fixtures that more than one room's tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ds2f.dataset import Dataset

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings and faces, which are not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real recordings (../shared/data beside the repository) are not here")
    return SHARED_DATA


@pytest.fixture(autouse=True, scope="session")
def settings_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's folder of settings, where the installation's certificate lies, is an empty one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CONFIG_HOME", "APPDATA"):
            patch.setenv(name, str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Dataset]:
    """A new, empty dataset."""
    with Dataset(tmp_path / "dataset.db", create=True) as opened:
        yield opened
