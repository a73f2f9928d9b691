"""Fixtures of the page's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ds2f import Speech2Face


@pytest.fixture(scope="session")
def model() -> Speech2Face:
    return Speech2Face.from_pretrained(device="cpu", size=64)


@pytest.fixture(scope="session")
def address(model: Speech2Face) -> Iterator[str]:
    """Of a page with small limits."""
    pytest.importorskip("starlette", reason="the extra demo is not installed")
    from ds2f.page.guard import Limits
    from page_server import served

    with served(model, Limits(upload_mb=2.0, seconds=20.0)) as url:
        yield url
