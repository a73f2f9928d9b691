"""describe, doctor and completion as a user meets them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ds2f.cli import doctor, main
from ds2f.demo.run import samples
from helpers import silence, write_audio

HEAVY = ("torch", "cv2", "numpy", "av", "PIL", "rich", "librosa", "sklearn", "matplotlib", "huggingface_hub")


@pytest.mark.parametrize("arguments", [["--help"], ["generate", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from ds2f.cli import main
try:
    main({arguments})
except SystemExit:
    sys.exit([name for name in {HEAVY} if name in sys.modules] or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_describe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice, nothing = samples() / "person-5.mp4", write_audio(tmp_path / "nothing.wav", silence(2))
    assert main(["describe", str(voice), str(nothing)]) == 1
    said = capsys.readouterr()
    assert str(voice) in said.out
    assert "gender      male" in said.out
    assert "80 % between" in said.out
    assert "nothing.wav: silence" in said.err
    assert main(["describe", str(nothing)]) == 2


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
    assert "without a-package-that-nobody-has" in said
    assert "broken   a face      the weights are gone" in said
    assert "pip install --force-reinstall ds2f" in said


def _broken() -> None:
    raise OSError("the weights are gone")


def test_every_extra_has_its_use_told() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) - doctor.OURS == set(doctor.FOR)


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


def test_a_shell_completes_commands_options_and_choices(script: str, tmp_path: Path) -> None:
    (tmp_path / "ds2f.bash").write_text(script)

    def complete(*words: str) -> list[str]:
        asked = " ".join(f"'{word}'" for word in ("ds2f", *words))
        code = (
            f"source ds2f.bash; COMP_WORDS=({asked}); COMP_CWORD={len(words)}; COMPREPLY=();"
            ' $(complete -p ds2f | grep -oE "[^ ]*shtab[^ ]*"); printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert complete("ge") == ["generate"]
    assert "--ethnicity" in complete("generate", "--e")
    assert complete("generate", "--gender", "f") == ["female"]
    (tmp_path / "talk.wav").touch()
    assert complete("generate", "ta") == ["talk.wav"]


@pytest.mark.parametrize("command", [["extract"], ["train", "prior"], ["evaluate", "--images", ".", "--out", "report"]])
def test_a_missing_database_is_said_before_torch_is_loaded(command: list[str], tmp_path: Path) -> None:
    code = f"""import sys
from ds2f.cli import main
assert main({command!r} + ["--database", "none.db"]) == 2
sys.exit("torch" in sys.modules)"""
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "There is no database at none.db" in " ".join(said.stderr.split())
