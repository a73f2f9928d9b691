"""What SF2F and Vox2Face train on, VoxCeleb1's sound by number and HQ-VoxCeleb's faces by name, goes the whole way to
SF2F's table, laid out as both are published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ds2f.cli import main
from ds2f.dataset import Dataset
from stand_in import PEOPLE, show, speak

SIX = PEOPLE[:6]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trees")
    rows = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"]
    for person in SIX:
        rows.append(f"{person.voxceleb1}\t{person.name}\t{'f' if person.number % 2 else 'm'}\tNowhere\ttest")
        speak(root / "vox1" / "wav" / person.voxceleb1 / person.video(1) / "00001.wav", person, 1)
        for number in (0, 1):
            show(root / "HQ-VoxCeleb" / "vox1" / "origin_faces" / person.name / f"{number}.jpg", person, number)
    (root / "vox1" / "vox1_meta.csv").write_text("\n".join(rows) + "\n")
    (root / "ds2f.toml").write_text("[split]\nval = 0.0\ntest = 1.0\n[evaluate]\nbootstrap = 20\n")
    return root


def test_from_the_trees_to_the_table(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    assert main(["ingest", "--kind", "voices", "vox1/wav"]) == 0
    assert main(["ingest", "--kind", "faces", "HQ-VoxCeleb/vox1"]) == 0
    assert (
        "In total 6 people: 6 with voices and faces, 0 with voices only, 0 with faces only." in capsys.readouterr().out
    )
    assert main(["extract", "--workers", "1"]) == 0
    with Dataset(home / "dataset.db") as dataset:
        assert dataset.connection.execute("SELECT count(*) FROM failures").fetchone()[0] == 0
        assert dataset.connection.execute("SELECT count(DISTINCT video_id) FROM voice_embeddings").fetchone()[0] == 6
        assert dataset.connection.execute("SELECT count(*) FROM faces").fetchone()[0] == 12
    drawn = ["generate", "--database", "dataset.db", "--split", "all", "--size", "64", "--out", "faces"]
    assert main(drawn) == 0
    assert len(list((home / "faces").rglob("*.png"))) == 6
    assert main(["evaluate", "--protocol", "sf2f", "--images", "ds2f=faces", "--out", "table"]) == 0
    rows = {row["method"]: row for row in json.loads((home / "table" / "sf2f.json").read_text())["rows"]}
    assert (rows["ds2f"]["pictures"], rows["ds2f"]["people"]) == (6, 6)
    assert rows["own face"]["recall"]["1"]["value"] == 1.0
    assert rows["chance"]["recall"]["1"]["value"] == pytest.approx(1 / 6)
