"""Benchmarks run rarely: all of them must load with the code as it is today, and those that need nothing but this
repository must run. Small versions of kill.py, damage.py and serving.py are in tests/extract and tests/page."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from ds2f.dataset import Dataset
from people import paired_dataset

BENCHMARKS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))
TINY = {
    "generation": "--size 64 --batch 1",
    "identity": "DATABASE --split train --faces 1 --guidance 1 --steps 1",
    "ingest": "--share 0.001",
    "retrieval": "--gallery 200 --queries 20 --dim 8",
    "status": "--files 500",
    "watermark": "attacks --faces 1 --size 64",
}
"""What makes a benchmark small. DATABASE: a dataset of made-up people."""


def run(path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_explains_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(path, ["--help"], monkeypatch)
    assert end.value.code == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")  # no face is found in one of noise
@pytest.mark.parametrize("name", TINY)
def test_a_small_benchmark_runs(
    name: str, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    paired_dataset(dataset, 8)
    arguments = [str(dataset.path) if word == "DATABASE" else word for word in TINY[name].split()]
    run(BENCHMARKS[0].with_name(f"{name}.py"), arguments, monkeypatch)
    assert capfd.readouterr().out


def test_all_steps_of_a_million_clips_can_be_done_with_a_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import million

    for name, few in (("STORED", 4), ("PER_PERSON", 2), ("PER_VIDEO", 1)):
        monkeypatch.setattr(million, name, few)
    database, tree = tmp_path / "dataset.db", tmp_path / "vox2" / "dev" / "mp4"
    tree.mkdir(parents=True)
    million.make(tree, 120)
    for step in million.STEPS:
        step(database, tree)
        if step is million.store:
            with Dataset(database) as dataset:
                assert dataset.counts()["video"] == {"new": 0, "done": 120, "failed": 0}
