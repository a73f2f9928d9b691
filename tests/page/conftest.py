"""Fixtures of the page's tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from ds2f import Speech2Face
from ds2f.config import Serve
from openapi_contract import Contract


@pytest.fixture(scope="session")
def model() -> Speech2Face:
    return Speech2Face.from_pretrained(device="cpu", size=64)


@pytest.fixture(scope="session")
def address(model: Speech2Face) -> Iterator[str]:
    """Of a page with small limits."""
    pytest.importorskip("starlette", reason="the extra demo is not installed")
    from page_server import served

    with served(model, Serve(upload_mb=2.0, max_seconds=20.0)) as url:
        yield url


@pytest.fixture(scope="session")
def voice(address: str) -> str:
    """Of somebody, as the page keeps it."""
    from page_server import CLIP

    return str(requests.post(f"{address}/v1/voices", data=CLIP.read_bytes(), timeout=300).json()["voice"])


@pytest.fixture(scope="session")
def contract(model: Speech2Face) -> Contract:
    """What /openapi.json says."""
    pytest.importorskip("starlette", reason="the extra demo is not installed")
    from ds2f.page.openapi import described

    return Contract(described(Serve(), 8, model.prior.inputs.dim))


@pytest.fixture(autouse=True)
def every_answer_is_as_the_document_says(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the API, whatever a test asks it; the page's own files are no part of it."""
    send = requests.Session.send

    def checked(session: requests.Session, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        answer = send(session, request, **given)
        path, kind = urlsplit(request.url).path, answer.headers.get("content-type", "")
        if given.get("stream") or path == "/" or path.endswith((".css", ".js")) or request.method == "HEAD":
            return answer
        told = None
        if kind == "application/json":
            told = answer.json()
        elif kind == "application/x-ndjson":
            told = [json.loads(line) for line in answer.text.splitlines()]
        contract.check(request.method, path, answer.status_code, kind, answer.content, told)
        return answer

    monkeypatch.setattr(requests.Session, "send", checked)
