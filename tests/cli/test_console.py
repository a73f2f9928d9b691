"""Progress where there is no screen: a line now and then, none of them twice."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ds2f.cli import console, main


def test_the_end_of_a_stage_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with console.bar("generate") as shown:
        for done in (0, 1, 2, 2, 2):
            shown.update(done, 2, "talk.wav" if done < 2 else "")
        check, evaluate = shown.stage("check"), shown.stage("evaluate")
        evaluate(1, 1)
        check(1, 1)
        evaluate(2, 2)
    later = ["evaluate: 1 of 1", "check: 1 of 1", "evaluate: 2 of 2"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["generate: 0 of 2", "generate: 2 of 2", *later]


def test_names_with_brackets_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with console.bar("generate") as shown:
        shown.update(0, 1, "talk [bold].wav")
    assert "talk [bold].wav" in capsys.readouterr().err


def test_paths_that_look_like_markup_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a [bold]b :heart:" / "[" / "x]"
    folder.mkdir(parents=True)
    (folder / "a.mp4").write_bytes(b"video")
    database = folder / "d.db"
    assert main(["ingest", str(folder), "--database", str(database)]) == 0
    assert f"The dataset is {database}. Next" in capsys.readouterr().out
    assert main(["status", "--database", str(database)]) == 0
    assert str(database) in capsys.readouterr().out
    with console.bar("generate") as shown:
        shown.update(0, 1, "talk [/b].wav")
    assert "talk [/b].wav" in capsys.readouterr().err


def test_a_screen_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=200)
    monkeypatch.setattr(console, "err", screen)
    with console.bar("generate") as shown:
        shown.update(0, 1, "talk [/b].wav")
    assert "talk [/b].wav" in screen.file.getvalue()


def test_a_long_name_does_not_push_the_progress_off_a_narrow_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(console, "err", screen)
    with console.bar("generate") as shown:
        shown.update(1, 12, "interviews/" + 20 * "a very long name ")
        shown.progress.refresh()  # type: ignore[union-attr]
        line = screen.file.getvalue().splitlines()[-1]
    assert "generate" in line
    assert "1/12" in line
    assert "left" in line
    assert "interv" in line


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (1, "shard", "1 shard"),
        (0, "shard", "0 shards"),
        (2000, "entry", "2,000 entries"),
        (1, "entry", "1 entry"),
        (2, "person", "2 people"),
    ],
)
def test_one_of_a_kind_is_no_plural(number: int, noun: str, words: str) -> None:
    assert console.counted(number, noun) == words
