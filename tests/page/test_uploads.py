"""Bodies of requests: within limits, in memory, and read as what they are."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra demo is not installed")

from starlette.requests import Request

from ds2f.config import Serve
from ds2f.page.refused import Refused
from ds2f.page.uploads import Uploads, client_of, sent_in


def request_of(data: bytes, client: str = "192.0.2.1", query: str = "", kind: str = "") -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    headers = [(b"content-type", kind.encode())] if kind else []
    scope = {"type": "http", "method": "POST", "path": "/v1/faces", "headers": headers, "client": (client, 50000)}
    return Request({**scope, "query_string": query.encode()}, receive)


def test_bodies_in_memory_are_bounded_each_and_all_together() -> None:
    uploads = Uploads(Serve(upload_mb=1.0, memory_mb=1.5))

    async def ask() -> None:
        async with uploads.body(request_of(bytes(900_000))) as first:
            assert (len(first), uploads.held.total()) == (900_000, 900_000)
            with pytest.raises(Refused, match="Too much is being sent") as refused:
                async with uploads.body(request_of(bytes(900_000), "192.0.2.2")):
                    pass
            assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "10"})
            async with uploads.body(request_of(bytes(500_000), "192.0.2.2")):
                assert uploads.held.total() == 1_400_000
        assert not uploads.held
        with pytest.raises(Refused, match="larger than 1 MB"):
            async with uploads.body(request_of(bytes(1_100_000))):
                pass
        assert not uploads.held

    asyncio.run(ask())


def test_one_client_gets_half_of_the_memory() -> None:
    uploads = Uploads(Serve(upload_mb=1.0, memory_mb=4.0))

    async def ask() -> None:
        big = bytes(900_000)
        async with uploads.body(request_of(big)), uploads.body(request_of(big)):
            with pytest.raises(Refused, match="You are sending too much") as refused:
                async with uploads.body(request_of(big)):
                    pass
            assert refused.value.status == 429
            async with uploads.body(request_of(big, "192.0.2.2")):
                assert set(uploads.held) == {"192.0.2.1", "192.0.2.2"}

    asyncio.run(ask())


def test_clients_are_addresses_and_networks_of_households() -> None:
    assert client_of(request_of(b"", "192.0.2.7")) == "192.0.2.7"
    same = {client_of(request_of(b"", address)) for address in ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:9:9:9:9")}
    assert len(same) == 1
    assert client_of(request_of(b"", "::1")) == "::1"


def test_a_body_is_read_as_what_it_is() -> None:
    sent = sent_in(request_of(b"", query="count=2&fast=false&gender=female&age=null"), b"RIFF")
    assert sent.files == {"recording": (b"RIFF",)}
    assert sent.fields == {"count": 2, "fast": False, "gender": "female", "age": None}
    curls_own = request_of(b"", query="seed=1", kind="application/x-www-form-urlencoded")
    assert sent_in(curls_own, b'{"seed": 2, "count": 3}').fields == {"seed": 2, "count": 3}
    with pytest.raises(Refused, match="must be a JSON object"):
        sent_in(request_of(b"", kind="application/json"), b"[]")


def test_a_form_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def written(*given: object, **named: object) -> None:
        raise AssertionError("a file was made")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, written)
    sound = bytes(range(256)) * 20_000  # with every byte in it, and larger than what most parsers keep in memory
    part = b'--edge\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    body = part % (b"recording", b'; filename="a.wav"', sound) + part % (b"recording", b'; filename="b.wav"', b"b")
    body += part % (b"count", b"", b"2") + part % (b"gender", b"", b"male") + b"--edge--\r\n"
    sent = sent_in(request_of(b"", query="seed=4", kind="multipart/form-data; boundary=edge"), body)
    assert sent.files == {"recording": (sound, b"b")}
    assert sent.fields == {"seed": 4, "count": 2, "gender": "male"}
