"""Progress where there is no screen: a line now and then, none of them twice."""

from __future__ import annotations

import pytest

from ds2f.cli import console


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
