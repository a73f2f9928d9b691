"""What clients send: held in memory, never written, and limited in size; a recording, a form, or JSON."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

from python_multipart import create_form_parser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File
from starlette.requests import ClientDisconnect, Request

from ds2f.config import Serve
from ds2f.page.refused import Refused


@dataclass(frozen=True)
class Sent:
    """What was sent. files: by field name, in order; fields: everything else, from JSON, the form or the query
    string."""

    files: Mapping[str, tuple[bytes, ...]]
    fields: Mapping[str, Any]


class Uploads:
    """Request bodies in memory: each one, those of one client, and all of them together are limited in size."""

    def __init__(self, limits: Serve) -> None:
        self.limits = limits
        self.held: Counter[str] = Counter()  # bytes of each client; changed only by the event loop

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytearray]:
        """The body, held for as long as it is needed. Raises Refused if it is too large or arrives too slowly, or if
        there is no memory left for it beside the others; one client gets at most half of that memory."""
        limits, data, client = self.limits, bytearray(), client_of(request)
        memory, largest = limits.memory_mb * 1e6, limits.upload_mb * 1e6
        if int(request.headers.get("content-length") or 0) > largest:
            raise _too_large(limits)
        try:
            try:
                async with asyncio.timeout(limits.upload_seconds):
                    async for chunk in request.stream():
                        if len(data) + len(chunk) > largest:
                            raise _too_large(limits)
                        if self.held.total() + len(chunk) > memory:
                            raise Refused(503, "Too much is being sent; try again in 10 s.", {"retry-after": "10"})
                        if self.held[client] + len(chunk) > max(memory / 2, largest):
                            sentence = "You are sending too much at once; send the next when one is answered."
                            raise Refused(429, sentence, {"retry-after": "10"})
                        data += chunk
                        self.held[client] += len(chunk)
            except TimeoutError:
                sentence = f"It took longer than {limits.upload_seconds:g} s to arrive; try a shorter recording."
                raise Refused(408, sentence) from None
            yield data
        finally:
            self.held[client] -= len(data)
            self.held += Counter()  # drops clients that hold nothing


def sent_in(request: Request, body: bytes | bytearray, alone: str = "recording") -> Sent:
    """The contents of a body: JSON if it says so or begins with a brace, the parts of a form, or else a file, with
    the wishes in the query string, which those of the body override. alone: the field name of such a file.

    Raises Refused for invalid JSON and forms, and for a field that is given twice.
    """
    kind = request.headers.get("content-type", "")
    asked = _once([(name, _value(text)) for name, text in request.query_params.multi_items()])
    if kind.startswith("multipart/form-data"):
        files, fields = _form(kind, body)
        return Sent(files, {**asked, **_once(fields)})
    if kind.startswith("application/json") or body.startswith(b"{"):
        try:
            told = json.loads(body, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise Refused(400, "The body is not JSON.") from None
        if not isinstance(told, dict):
            raise Refused(400, "The body is JSON, but must be a JSON object, or a file of another kind.")
        return Sent({}, {**asked, **told})
    return Sent({alone: (bytes(body),)}, asked)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise Refused(422, f"The field {twice[0]!r} was sent more than once.")
    return found


def _form(kind: str, body: bytes | bytearray) -> tuple[dict[str, tuple[bytes, ...]], list[tuple[str, Any]]]:
    """Its files and fields."""
    files: dict[str, tuple[bytes, ...]] = {}
    fields: list[tuple[str, Any]] = []

    def on_file(file: File) -> None:
        name = (file.field_name or b"").decode("utf-8", "replace")
        file.file_object.seek(0)
        files[name] = (*files.get(name, ()), file.file_object.read())

    def on_field(found: Field) -> None:
        name = (found.field_name or b"").decode("utf-8", "replace")
        fields.append((name, _value((found.value or b"").decode("utf-8", "replace"))))

    try:
        parser = create_form_parser({"Content-Type": kind}, on_field, on_file, {"MAX_MEMORY_FILE_SIZE": inf})  # type: ignore[dict-item]
        parser.write(bytes(body))
        parser.finalize()
    except FormParserError:
        raise Refused(400, "The form cannot be read; send it as multipart/form-data with a boundary.") from None
    return files, fields


def _value(text: str) -> Any:
    """Values in a query string or form are text; numbers, true, false and null mean the same as in JSON."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float | bool | None) else text


def client_of(request: Request) -> str:
    """The key that identifies a client: its address; for IPv6, the network that a household has."""
    host = request.client.host if request.client else ""
    return ":".join(host.split(":")[:4]) if host.count(":") > 3 else host


async def hung_up(request: Request) -> None:
    """Returns when the client disconnects. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _too_large(limits: Serve) -> Refused:
    return Refused(413, f"This is larger than {limits.upload_mb:g} MB; a minute of speech is enough.")


__all__ = ["ClientDisconnect", "Sent", "Uploads", "client_of", "hung_up", "sent_in"]
