"""What `pip install ds2f` alone can do, with every package of an extra out of reach."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ds2f.demo import samples
from ds2f.io.extras import MODULES, first_line, lacking

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

ALONE = """
import importlib, pathlib, pkgutil, shutil, sys
from importlib.machinery import PathFinder
out_of_reach = set(sys.argv[1].split(","))

real = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in out_of_reach else real(name, path, target)

PathFinder.find_spec = staticmethod(find_spec)
import ds2f
from ds2f.cli import main

need_extras = ("face", "extract", "training", "evaluation", "page", "corpora.download")
for module in pkgutil.walk_packages(ds2f.__path__, "ds2f."):
    if not module.name.startswith(tuple(f"ds2f.{room}." for room in need_extras)):
        importlib.import_module(module.name)

clips = pathlib.Path("clips")
clips.mkdir()
shutil.copy(sys.argv[2], clips)
ds2f.demo.samples = lambda: clips
assert main(["demo", "--out", "out"]) == 0
assert main(["ingest", "clips"]) == 0
guided = ["generate", "clips/person-1.mp4", "--out", "g", "--guide", "out/faces/person-1-0.png"]
for command in (["extract"], guided):
    assert main(command) == 2, command
"""


def _closure(requirements: list[str]) -> set[str]:
    """Names of the packages that some requirements bring in on this machine."""
    found: set[str] = set()
    waiting = [(Requirement(line), frozenset[str]()) for line in requirements]
    while waiting:
        needed, extras = waiting.pop()
        if needed.marker and not any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
            continue
        name = needed.name.lower().replace("_", "-")
        if name not in found:
            found.add(name)
            inner = frozenset(needed.extras)
            waiting += [(Requirement(line), inner) for line in metadata.requires(name) or []]
    return found


def test_without_any_extra_a_voice_gets_its_faces_and_a_sentence_says_what_the_rest_needs(tmp_path: Path) -> None:
    core = _closure(PROJECT["dependencies"])
    beyond = {module for modules in MODULES.values() for module in modules}
    for module, packages in metadata.packages_distributions().items():
        if module != "ds2f" and not core & {package.lower().replace("_", "-") for package in packages}:
            beyond.add(module)
    arguments = [",".join(sorted(beyond)), str(samples() / "person-1.mp4")]
    done = subprocess.run([sys.executable, "-c", ALONE, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "contact-sheet.png").is_file()
    assert len(list((tmp_path / "out" / "faces").glob("*.png"))) == 4
    assert "pip install 'ds2f[demo]'" in done.stdout
    assert done.stderr.count("pip install 'ds2f[faces]'") == 2


@pytest.mark.parametrize(
    ("module", "command", "extra"),
    [("accelerate.utils", "train", "train"), ("scipy", "verify", "evaluate"), ("cv2", "extract", "faces")],
)
def test_what_a_command_lacks(module: str, command: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ds2f.io.extras.installed", lambda module: False)
    sentence = lacking(ModuleNotFoundError(name=module), command)
    assert sentence is not None
    assert sentence.endswith(f"pip install 'ds2f[{extra}]'")


def test_an_import_that_fails_otherwise_is_no_missing_extra() -> None:
    assert lacking(ImportError("cannot import name 'Mat' from 'cv2'", name="cv2"), "extract") is None, "it is there"
    assert lacking(ModuleNotFoundError(name="ds2f.nothing"), "extract") is None


@pytest.mark.parametrize(
    ("message", "said"), [("one\ntwo", "one"), ("\n\ntwo", "two"), ("", "ValueError"), ("\n", "ValueError")]
)
def test_an_error_without_a_message_is_named_by_its_class(message: str, said: str) -> None:
    assert first_line(ValueError(message)) == said


def test_what_is_imported_plainly_is_in_the_extra_that_is_named() -> None:
    packages_of = metadata.packages_distributions()
    for extra, modules in MODULES.items():
        named = {Requirement(line).name.lower().replace("_", "-") for line in EXTRAS[extra]}
        for module in {*modules} & {*packages_of}:  # dlib-bin does not say what it holds
            assert named & {package.lower().replace("_", "-") for package in packages_of[module]}, module


def test_all_has_every_extra_that_a_command_names_and_nothing_that_is_compiled() -> None:
    assert set(MODULES) <= _extras_in("all")
    assert "resemblyzer" not in _extras_in("all")


def _extras_in(extra: str) -> set[str]:
    inner = {part for line in EXTRAS[extra] for part in Requirement(line).extras}
    return {extra}.union(*(_extras_in(part) for part in inner))
