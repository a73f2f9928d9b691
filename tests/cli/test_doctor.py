from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ds2f.cli import doctor, main


def test_doctor_finds_this_machine_well_and_says_how_to_mend(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "deepface" else real(package))
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ok") and "all " in line and "torch" in line for line in lines)
    assert any(line.startswith("ok") and "drawn in" in line for line in lines)
    at = next(i for i, line in enumerate(lines) if line.startswith("missing  deepface"))
    assert lines[at + 1].strip() == "pip install 'ds2f[deepface]'"


def test_doctor_says_what_is_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def trial() -> doctor.Finding:
        from ds2f.speech2face.model import Speech2Face

        monkeypatch.setattr(Speech2Face, "from_pretrained", _broken)
        return real()

    def few() -> dict[str, list[str]]:
        return {"": ["torch", "a-package-that-nobody-has"]}

    real = doctor._trial
    monkeypatch.setattr(doctor, "_trial", trial)
    monkeypatch.setattr(doctor, "_requirements", few)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "missing a-package-that-nobody-has" in said
    assert "broken   a face      the weights are gone" in said
    assert "pip install --force-reinstall ds2f" in said


def _broken() -> None:
    raise OSError("the weights are gone")


def test_every_extra_has_its_use_told() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) - doctor.OURS == set(doctor.FOR)


def test_an_extra_that_lacks_much_takes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda package: None)
    (found,) = doctor._extras({"all": ["a", "b", "c", "d", "e", "f"]})
    assert found.text.endswith("(no a, b, c, d and 2 more)")
