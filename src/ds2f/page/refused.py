"""Requests that are refused, and why."""

from __future__ import annotations

from collections.abc import Mapping

FAILED = "The server failed; see its log."


class Refused(Exception):
    """A request that is refused. The message is a sentence for people; status, headers: of HTTP."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, dict(headers or {})
