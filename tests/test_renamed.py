"""Public names of before: each works, is the very thing it was renamed to, warns, and stands in the CHANGELOG."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ds2f
from ds2f import SamplingSettings, Speech2Face
from ds2f._renamed import METHODS, MODULES, NAMES, PARAMETERS
from ds2f.voice.encode import VoiceEncoder

CHANGELOG = (Path(__file__).parents[1] / "CHANGELOG.md").read_text()
CLASSES = {"Speech2Face": Speech2Face, "VoiceEncoder": VoiceEncoder}


@pytest.mark.parametrize("old", MODULES)
def test_a_module_that_moved_is_found(old: str) -> None:
    sys.modules.pop(f"ds2f.{old}", None)
    new = importlib.import_module(f"ds2f.{MODULES[old]}")
    spec = new.__spec__
    with pytest.warns(DeprecationWarning, match=rf"ds2f\.{old} is now {new.__name__};"):
        assert importlib.import_module(f"ds2f.{old}") is new
    assert new.__spec__ is spec, "and stays what it was"
    assert f"`{old}`" in CHANGELOG


@pytest.mark.parametrize(("home", "old", "new"), [(h, o, n) for h, names in NAMES.items() for o, n in names.items()])
def test_a_name_that_changed_is_found(home: str, old: str, new: str) -> None:
    module = importlib.import_module(home if home == "ds2f" else f"ds2f.{home}")
    place, _, name = new.rpartition(":")
    there = importlib.import_module(f"ds2f.{place}") if place else module
    with pytest.warns(DeprecationWarning, match=rf"{old} is now .*{name};"):
        assert getattr(module, old) is getattr(there, name)
    assert f"`{old}`" in CHANGELOG
    with pytest.raises(AttributeError, match=f"{module.__name__}' has no attribute 'nothing'"):
        _ = module.nothing


def test_the_warning_names_the_line_that_is_to_be_changed() -> None:
    program = "from ds2f.pictures import NOTICE\nfrom ds2f import Settings\nSettings()\n"
    done = subprocess.run([sys.executable, "-W", "default", "-c", program], capture_output=True, text=True, check=True)
    said = [line for line in done.stderr.splitlines() if "ds2f" in line and line.startswith("<string>")]
    assert {line[:11] for line in said} == {"<string>:1:", "<string>:2:"}


@pytest.mark.parametrize(("kind", "old", "new"), [(k, o, n) for k, names in METHODS.items() for o, n in names.items()])
def test_a_method_that_was_renamed_calls_the_one_in_its_place(
    kind: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = CLASSES[kind]
    monkeypatch.setattr(found, new, lambda self, *given, **named: (given, named))
    renamed = PARAMETERS.get(old, {})
    with pytest.warns(DeprecationWarning, match=rf"{kind}\.{old} is now {kind}\.{new};"):
        assert getattr(object.__new__(found), old)(1, **dict.fromkeys(renamed, 2)) == (
            (1,),
            dict.fromkeys(renamed.values(), 2),
        )
    assert f"`{old}`" in CHANGELOG


def test_a_script_of_before_draws_what_it_drew() -> None:
    model = Speech2Face.from_pretrained(device="cpu", size=64)
    voices = np.zeros((1, 512), np.float32)
    with pytest.warns(DeprecationWarning, match="will be removed in the next release"):
        before = model.draw(model.identities(voices, [3], 0.4), [3], ds2f.Settings(steps=1))
    now = model.sample_images(model.sample_identities(voices, [3], 0.4), [3], SamplingSettings(steps=1))
    np.testing.assert_array_equal(before, now)
