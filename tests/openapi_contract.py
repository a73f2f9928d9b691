"""Whether answers are what /openapi.json says they are."""

from __future__ import annotations

import re
from typing import Any

from jsonschema import Draft202012Validator


class Contract:
    """An OpenAPI document that answers are held against."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.seen: set[tuple[str, str, str]] = set()  # (method, path, status), of those that were checked

    def check(self, method: str, path: str, status: int, kind: str, body: bytes, told: Any) -> None:
        """kind: the answer's Content-Type; told: its JSON, None if it is none."""
        operation = self.operation(method, path)
        if operation is None:
            assert status in (403, 404, 405), f"{method} {path} is in no document"
            self.valid({"$ref": "#/components/schemas/Error"}, told)
            return
        template, described = operation
        self.seen.add((method, template, str(status)))
        assert str(status) in described["responses"], f"{method} {template} says nothing of {status}"
        response = self.followed(described["responses"][str(status)])
        media = kind.partition(";")[0]
        assert media in response["content"], f"{method} {template} says nothing of {media} with {status}"
        if media == "application/json":
            self.valid(response["content"][media]["schema"], told)
        elif media == "application/x-ndjson":
            for line in told:
                self.valid({"$ref": "#/components/schemas/Line"}, line)
        else:
            assert body

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        for template, methods in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", r"\\d+", template), path) and method.lower() in methods:
                return template, methods[method.lower()]
        return None

    def followed(self, part: dict[str, Any]) -> dict[str, Any]:
        for name in part.get("$ref", "#").split("/")[1:]:
            part = self.document[name] if name == "components" else part[name]
        return part

    def valid(self, schema: dict[str, Any], value: Any) -> None:
        whole = {**schema, "components": self.document["components"]}
        errors = [error.message for error in Draft202012Validator(whole).iter_errors(value)]
        assert not errors, errors
