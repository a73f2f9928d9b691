"""The table of commands, and what is said of mistakes in any of them."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ds2f.cli.parser import COMMANDS, command_of, main

HEAVY = ("torch", "cv2", "numpy", "av", "PIL", "rich", "librosa", "sklearn", "matplotlib", "huggingface_hub")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_file(name: str) -> None:
    command = command_of(name)
    assert callable(command.add_arguments)
    assert callable(command.run)


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


def test_a_command_imports_no_other() -> None:
    code = "import sys; from ds2f.cli.parser import build_parser; build_parser(['push'])\n"
    code += "print([name for name in sys.modules if name.startswith('ds2f.cli.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(eval(done.stdout)) == {"ds2f.cli.parser", "ds2f.cli.arguments", "ds2f.cli.push"}


def test_bad_configuration(tmp_path: Path, refused: Callable[..., str]) -> None:
    path = tmp_path / "ds2f.toml"
    path.write_text("[generate]\nstepz = 3\n")
    assert "unknown key 'stepz'" in refused("status", "--config", path)
    path.write_text("[generate\n")
    assert "not valid TOML" in refused("status", "--config", path)


@pytest.mark.parametrize("command", [["extract"], ["train", "prior"], ["evaluate", "--images", ".", "--out", "report"]])
def test_a_missing_database_is_said_before_torch_is_loaded(command: list[str], tmp_path: Path) -> None:
    code = f"""import sys
from ds2f.cli import main
assert main({command!r} + ["--database", "none.db"]) == 2
sys.exit("torch" in sys.modules)"""
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "There is no database at none.db" in " ".join(said.stderr.split())


def test_a_ctrl_c_stays_one_whatever_a_library_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As logging does, where it falls into the set-up of a server's logs: "cannot release un-acquired lock"."""

    def cleans_up_badly(options: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("cannot release un-acquired lock")

    def fails(options: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(command_of("doctor"), "run", cleans_up_badly)
    assert main(["doctor"]) == 130
    assert "cannot release un-acquired lock" in capsys.readouterr().err, "nothing is swallowed"
    monkeypatch.setattr(command_of("doctor"), "run", fails)
    with pytest.raises(RuntimeError, match="of ours"):
        main(["doctor"])


def test_what_went_wrong_while_a_ctrl_c_was_obeyed_is_said(
    monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    """As when the checkpoint of a stopped training finds the disk full: what is done is not kept."""

    def cannot_save(options: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise OSError(errno.ENOSPC, "No space left on device", "checkpoint")

    monkeypatch.setattr(command_of("doctor"), "run", cannot_save)
    assert "The disk is full (checkpoint)" in refused("doctor")


def test_the_overview_names_every_command_and_no_line_is_wider_than_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == list(COMMANDS)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generat"], "ds2f: there is no command 'generat', perhaps generate; see: ds2f --help"),
        (["xyz"], "ds2f: there is no command 'xyz'; see: ds2f --help"),
        (["describe", "a.wav", "--lang"], "ds2f describe: unrecognized arguments: --lang; see: ds2f describe --help"),
    ],
)
def test_a_slip_of_the_hand_is_one_short_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (ended.value.code, capsys.readouterr().err) == (2, f"{said}\n")


@pytest.mark.parametrize(("command", "kept"), [("serve", False), ("train", True)])
def test_what_a_stopped_command_says(
    command: str, kept: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_of(command), "run", stopped)
    assert main(["serve"] if command == "serve" else ["train", "prior"]) == 130
    assert ("run `ds2f train` again to resume" in capsys.readouterr().err) is kept


@pytest.mark.parametrize("command", [["status"], ["ingest", "."]])
def test_a_folder_is_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    (tmp_path / "data").mkdir()
    assert main([*command, "--database", str(tmp_path / "data")]) == 2
    assert f"is a folder; give a file, such as {tmp_path / 'data' / 'dataset.db'}" in capsys.readouterr().err
