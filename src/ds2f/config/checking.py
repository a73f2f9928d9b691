"""A part of the configuration that validates itself: msgspec checks each value against the type of its key."""

from __future__ import annotations

import json
import math
from dataclasses import field
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect

from ds2f.errors import UserError


def key(default: Any, doc: str, path: bool = False) -> Any:
    """A configuration key: its default, and the sentence that explains it in ds2f.toml. path: whether it is a path
    relative to the folder of ds2f.toml, or a list of such paths; "onnx:FILE" counts as one."""
    factory = {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    return field(**factory, metadata={"doc": doc, "path": path})


class Part:
    """A part of the configuration. Raises UserError for an invalid value, naming the key and what it may be."""

    def __post_init__(self) -> None:
        for key, kind in get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, key)
            self._refuse(_wrong(key, value, kind))
            object.__setattr__(self, key, msgspec.convert(value, kind))  # where a float is expected, 6 becomes 6.0
        self._refuse(self._wrong_together())

    def _refuse(self, wrong: str) -> None:
        if wrong:
            part = next(kind for kind in type(self).__mro__ if Part in kind.__bases__)  # for subclasses, too
            raise UserError(f"[{part.__name__.lower()}] {wrong}.")

    def _wrong_together(self) -> str:
        """What is wrong with keys that are valid one by one; empty if nothing is."""
        return ""


def _wrong(key: str, value: Any, kind: Any) -> str:
    """What is wrong with a value, as a sentence without its full stop; empty if nothing is."""
    several = value if isinstance(value, list) else []
    if any(isinstance(number, float) and not math.isfinite(number) for number in several or [value]):
        return f"{key} = {value} must be {'numbers' if several else 'a number'}"
    for number, one in enumerate(several):
        if one in several[:number]:
            return f"{key} names {json.dumps(one, default=str)} twice"
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        word, limits = _wanted(inspect.type_info(kind))
        if limits and (type(value) is int or (type(value) is float and word == "float")):
            return f"{key} = {value} must be {limits}"
        return f"{key} must be {word}, not {json.dumps(value, default=str)}"
    return ""


def _wanted(kind: Any) -> tuple[str, str]:
    """The values that a type accepts, and the range of its numbers, in words."""
    match kind:
        case inspect.ListType():
            word, limits = _wanted(kind.item_type)
            word = {"float": "numbers", "int": "whole numbers", "str": "strings", "a name": "names"}.get(
                word, word.removeprefix("one of ")
            )
            more = ["one or more"] * bool(kind.min_length) + [f"each {limits}"] * bool(limits)
            return f"a list of {word}" + (f" ({', '.join(more)})" if more else ""), ""
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, kind.values))}", ""
        case inspect.BoolType():
            return "bool", ""
        case inspect.StrType():
            return "a name" if kind.min_length else "str", ""
    ranges = [f"a multiple of {kind.multiple_of}"] if kind.multiple_of else []
    if kind.le is not None:
        ranges.append(f"from {kind.ge:.15g} to {kind.le:.15g}")
    elif kind.ge is not None:
        ranges.append(f"at least {kind.ge:g}")
    elif kind.gt is not None:
        ranges.append(f"more than {kind.gt:g}")
    return "int" if isinstance(kind, inspect.IntType) else "float", " and ".join(ranges)
