"""Reads and writes ds2f.toml; recipes."""

from __future__ import annotations

import difflib
import json
import tomllib
from dataclasses import Field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

from ds2f.config.checking import Part
from ds2f.config.parts import Config
from ds2f.errors import UserError
from ds2f.io.files import replacing

FILE_NAME = "ds2f.toml"


def parts() -> list[Field[Any]]:
    return [f for f in fields(Config) if f.name != "folder"]


def load(path: Path | None = None) -> Config:
    """Read ds2f.toml; without a path, the one in the current folder if there is one, else all defaults.

    Raises UserError for unreadable TOML, an unknown part or key, or an invalid value.
    """
    if path is None:
        path = Path(FILE_NAME)
        if not path.exists():
            return Config()
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except OSError as error:
        raise UserError(
            f"The configuration {path} cannot be read ({error.strerror}); write one: ds2f init --config {path}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"The configuration {path} is not valid TOML: {error}. A new one: ds2f init --config NEW.toml"
        ) from None
    known: dict[str, Any] = {part.name: part.default_factory for part in parts()}
    values: dict[str, Any] = {}
    for name, table in data.items():
        if name not in known or not isinstance(table, dict):
            raise UserError(f"{path}: unknown part [{name}]; the parts are {', '.join(known)}.")
        values[name] = _read_part(path, name, known[name], table)
    return Config(**values, folder=path.parent)


def with_recipe(config: Config, recipe: str) -> Config:
    """The configuration with the keys of [train] that a recipe sets. recipe: one that ships with ds2f, or a TOML file.

    Raises UserError for a recipe that does not exist, and for what `load` rejects.
    """
    shipped = {file.name.removesuffix(".toml"): file for file in sorted((files("ds2f") / "recipes").iterdir(), key=str)}
    path = Path(str(shipped.get(recipe, recipe)))
    if recipe not in shipped and not path.is_file():
        raise UserError(f"There is no recipe {recipe!r}; choose {', '.join(shipped)}, or give a TOML file.")
    found = load(path)
    usual = Config()
    others = [p.name for p in parts() if p.name != "train" and getattr(found, p.name) != getattr(usual, p.name)]
    if others:
        raise UserError(f"{path}: a recipe may only have [train], not [{others[0]}]; that part belongs in {FILE_NAME}.")
    stated = tomllib.loads(path.read_text("utf-8")).get("train", {})
    return replace(config, train=replace(config.train, **{key: getattr(found.train, key) for key in stated}))


def _read_part(path: Path, name: str, kind: type[Part], table: dict[str, Any]) -> Part:
    keys = get_type_hints(kind)
    for key in table:
        if key not in keys:
            like = difflib.get_close_matches(key, keys, 3)
            known = f"perhaps {' or '.join(like)} is meant" if like else f"the keys are {', '.join(keys)}"
            raise UserError(f"{path}: unknown key {key!r} in [{name}]; {known}.")
    try:
        return kind(**table)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def write_default(path: Path) -> None:
    """Write a commented ds2f.toml. Raises UserError if it exists or cannot be written."""
    if path.exists():
        raise UserError(f"{path} exists already; remove it first if you want a fresh one.")
    lines = ["# ds2f: every key with its default. Change what you need, delete what you do not."]
    for part in parts():
        kind = type(part.default_factory())  # type: ignore[operator]
        lines += ["", f"# {' '.join((kind.__doc__ or '').split())}", f"[{part.name}]"]
        for key in fields(kind):
            value = json.dumps(getattr(kind(), key.name))
            lines.append(f"{key.name} = {value}".ljust(32) + f"  # {key.metadata['doc']}")
    try:
        with replacing(path) as aside:
            aside.write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); make room, or give another --config.") from None
