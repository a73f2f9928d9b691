"""Two evaluations of the same clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ds2f.cli import main
from ds2f.cli.compare import print_comparison
from ds2f.dataset.queries import Pair
from ds2f.errors import UserError
from ds2f.evaluation.compare import compare
from ds2f.evaluation.results import Measure
from ds2f.evaluation.run import evaluate
from made_up_people import Embedder, draw, quick


def test_two_runs_compared(
    database: Path, pairs: list[Pair], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "true", pairs)
    draw(tmp_path / "next", pairs[2:])
    for name in ("true", "next"):
        images = {name: tmp_path / name}
        evaluate(database, images, "test", tmp_path / f"{name}-out", quick(50, allow_leak=True), embed=Embedder(pairs))
    good, bad = tmp_path / "true-out", tmp_path / "next-out" / "metrics.json"
    found = compare(bad, good)
    assert (found.clips, found.only_first, found.only_second) == (len(pairs), 0, 0)
    by_measure = {row.measure: row for row in found.differences}
    assert by_measure["r_at_1"].better == by_measure["cosine"].better == "second"
    assert by_measure["cosine"].clips == len(pairs) - 2
    assert by_measure["r_at_1"].difference.value == pytest.approx(
        by_measure["r_at_1"].second - by_measure["r_at_1"].first
    )
    assert {row.better for row in compare(good, bad).differences if row.measure == "r_at_1"} == {"first"}
    same = compare(good, good, "linear prior", "linear prior")
    assert all(row.difference == Measure(0, 0, 0) and not row.better for row in same.differences)
    print_comparison(found)
    assert "second" in capsys.readouterr().out
    assert main(["compare", str(good), str(bad), "--first-method", "linear prior"]) == 0
    assert "linear prior" in capsys.readouterr().out
    older = json.loads((good / "metrics.json").read_text())
    for clip in older["clips"]:
        del clip["picture"]
    (tmp_path / "older.json").write_text(json.dumps(older))
    assert compare(tmp_path / "older.json", bad).differences == compare(good, bad).differences
    for clip in older["clips"]:
        clip["path"] += "" if clip["person"] == older["clips"][0]["person"] else ".of somebody else"
    (tmp_path / "one.json").write_text(json.dumps(older))
    of_one = compare(tmp_path / "one.json", bad)
    assert (of_one.clips, of_one.people) == (2, 1)
    assert {(row.better, row.difference.low) for row in of_one.differences} == {("", None)}, "one person proves nothing"
    with pytest.raises(UserError, match="no method 'them'; it has true"):
        compare(good, bad, "them")
    with pytest.raises(UserError, match=r"give the metrics\.json"):
        compare(tmp_path / "nowhere.json", bad)
    (tmp_path / "old.json").write_text('{"version": 1}')
    for text, wrong in (
        ('{"version": 1}', "missing required field `spaces`"),
        ('{"version": 1, "spaces": [], "clips": [], "methods": []}', "it has 1"),
        ('{"version": 2, "spaces": ["dlib"], "clips": [{"picture": 3}], "methods": []}', r"Expected `str`.*clips\[0\]"),
        ("[]", "Expected `object`, got `array`"),
    ):
        (tmp_path / "old.json").write_text(text)
        with pytest.raises(UserError, match=rf"version 2 \(.*{wrong}.*\); make one with"):
            compare(tmp_path / "old.json", bad)
    smaller = json.loads((good / "metrics.json").read_text())
    smaller["chance"]["retrieval"]["all"]["gallery"] -= 5
    (tmp_path / "smaller.json").write_text(json.dumps(smaller))
    capsys.readouterr()
    unlike = compare(good, tmp_path / "smaller.json")
    print_comparison(unlike)
    assert "Ranks and recall are left out" in capsys.readouterr().err
    assert {row.measure for row in unlike.differences} == {"cosine", "gender", "ethnicity", "age_error"} & set(
        by_measure
    )
    evaluate(database, {}, "val", tmp_path / "val-out", quick(50))
    with pytest.raises(UserError, match="no clip in common"):
        compare(good, tmp_path / "val-out")
