"""What was written about a person goes with them, and nothing of the others."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from ds2f.dataset import Dataset, outputs
from ds2f.dataset.export import export, export_manifest
from ds2f.dataset.forget import find, forget
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.io.images import write_face
from helpers import PLAN, extracted, item, wanting


@pytest.fixture
def people(dataset: Dataset, tmp_path: Path) -> Dataset:
    """Two recordings each of Anna and Zeb."""
    items = [item(f"{name}/{k}.mp4", name) for name in ("anna", "zeb") for k in range(2)]
    dataset.add_items(tmp_path / "videos", "video", items, SplitRule(val=0.0, test=0.0))
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number), PLAN)
    return dataset


def _forget_zeb(dataset: Dataset) -> dict[str, int]:
    person = find(dataset, "zeb")
    assert person is not None
    gone = forget(dataset, person, dataset.path.parent / "none", keep_files=True)
    return {"faces": gone.faces, "records": gone.records, "reports": gone.reports}


def _draw(folder: Path, *names: str) -> None:
    for name in names:
        write_face(folder / name, Image.new("RGB", (8, 8)), {"seed": 0})


def _left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# ── faces ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_numbered_pictures_go_wherever_they_were_drawn(people: Dataset, tmp_path: Path) -> None:
    """Also of a run that was killed before it wrote generation.json, and those that a later record no longer names."""
    one, other = tmp_path / "one", tmp_path / "other"
    _draw(one, "zeb/0-0.png", "zeb/0-11.png", "zeb/1-0.png", "anna/0-0.png", "videos/zeb/0.png")
    _draw(other, "zeb/0.png", "zeb/1.png", "zeb/10.png", "anna/1.png")
    entries = [
        {"root": str(tmp_path / "videos"), "input": f"{n}/1.mp4", "image": f"{n}/1.png"} for n in ("zeb", "anna")
    ]
    (other / "generation.json").write_text(json.dumps({"identity_vectors": "v.safetensors", "faces": entries}))
    save_file({f"{n}/1.png": np.ones(3, np.float32) for n in ("zeb", "anna")}, other / "v.safetensors")
    for folder in (one, other):
        outputs.remember(people, "faces", folder)
    assert _forget_zeb(people)["faces"] == 6
    assert _left(one) == {"anna/0-0.png"}
    assert _left(other) == {"anna/1.png", "zeb/10.png", "generation.json", "v.safetensors"}, "zeb/10.mp4 is another"
    assert [entry["image"] for entry in json.loads((other / "generation.json").read_text())["faces"]] == ["anna/1.png"]
    assert set(load_file(other / "v.safetensors")) == {"anna/1.png"}


def test_pictures_that_others_have_or_that_are_not_ours_stay(people: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    (folder / "zeb").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "zeb" / "0.png")  # a photograph
    _draw(folder, "zeb/1-1.png")  # of a clip zeb/1-1.mp4 that somebody else is in
    entries = [{"root": "/elsewhere", "input": "zeb/1-1.mp4", "image": "zeb/1-1.png"}]
    (folder / "generation.json").write_text(json.dumps({"faces": entries}))
    outputs.remember(people, "faces", folder)
    assert _forget_zeb(people)["faces"] == 0
    assert _left(folder) == {"zeb/0.png", "zeb/1-1.png", "generation.json"}


def test_faces_drawn_for_their_recording_without_the_dataset_go(people: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    _draw(folder, "0-0.png", "other-0.png")
    entries = [
        {"input": str(tmp_path / "videos" / "zeb" / "0.mp4"), "image": "0-0.png", "seed": 0},
        {"input": "other.wav", "image": "other-0.png", "seed": 0},
        {"input": str(tmp_path / "videos" / "zeb" / "1.mp4"), "failed": "no speech found"},
    ]
    (folder / "generation.json").write_text(json.dumps({"faces": entries}))
    outputs.remember(people, "faces", folder)
    assert _forget_zeb(people)["faces"] == 1
    assert "zeb" not in (folder / "generation.json").read_text()
    assert _left(folder) == {"other-0.png", "generation.json"}


def test_a_broken_record_is_said_and_no_row_is_touched(people: Dataset, tmp_path: Path) -> None:
    outputs.remember(people, "faces", tmp_path / "faces")
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "generation.json").write_text('{"faces": [')
    with pytest.raises(UserError, match=r"generation\.json cannot be read"):
        _forget_zeb(people)
    assert find(people, "zeb") is not None


# ── exports ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_records_go_out_of_exports(people: Dataset, tmp_path: Path, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'ds2f[export]'")
    gone, there, without = tmp_path / "gone", tmp_path / "there", tmp_path / "without"
    export(people, form, gone)
    export(people, form, there)
    beside = outputs.beside(there)
    (beside / "torso").mkdir(parents=True)
    (gone / "README.json").unlink()  # not an export any more
    assert _forget_zeb(people)["records"] == 2
    assert not beside.exists()
    export(people, form, without)
    assert _left(there) == _left(without)
    of, now = (json.loads((folder / "README.json").read_text()) for folder in (without, there))
    assert (now["records"], [s["records"] for s in now["shards"]]) == (
        of["records"],
        [s["records"] for s in of["shards"]],
    )
    (name,) = (shard["file"] for shard in now["shards"])
    if form == "parquet":
        import pyarrow.parquet as parquet

        assert parquet.read_table(there / name).equals(parquet.read_table(without / name))
    else:
        with tarfile.open(there / name) as left, tarfile.open(without / name) as right:
            assert sorted(left.getnames()) == sorted(right.getnames())
            assert left.getnames()
        assert b"zeb" not in (there / name).read_bytes()


def test_the_record_of_an_export_is_finished_after_a_kill(people: Dataset, tmp_path: Path) -> None:
    export(people, "webdataset", tmp_path / "out")
    (name,) = (shard["file"] for shard in json.loads((tmp_path / "out" / "README.json").read_text())["shards"])
    outputs.FORMATS["webdataset"].without(tmp_path / "out" / name, "folder", "zeb")  # and killed before README.json
    _forget_zeb(people)
    readme = json.loads((tmp_path / "out" / "README.json").read_text())
    assert readme["shards"][0]["records"] == sum(readme["records"].values()) == 2
    assert readme["shards"][0]["bytes"] == (tmp_path / "out" / name).stat().st_size


def test_a_stopped_export_is_not_gone_on_with_when_vectors_have_changed(people: Dataset, tmp_path: Path) -> None:
    people.connection.execute("UPDATE crops SET webp = ?", (b"x" * 900_000,))

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(people, "webdataset", tmp_path / "out", shard_mb=1, progress=stop)
    with people.transaction():
        people.connection.execute("UPDATE face_embeddings SET vector = ?", (np.ones(128, np.float32).tobytes(),))
    export(people, "webdataset", tmp_path / "out", shard_mb=1)
    for shard in (tmp_path / "out").glob("*.tar"):
        with tarfile.open(shard) as tar:
            for member in tar.getmembers():
                if member.name.endswith("face_dlib.npy"):
                    file = tar.extractfile(member)
                    assert file is not None
                    assert (np.frombuffer(file.read()[-512:], np.float32) == 1).all()


def test_an_export_killed_while_it_replaced_another_leaves_nothing_behind(people: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(people, "webdataset", out)
    out.rename(outputs.replaced(out))  # and killed here
    export(people, "webdataset", out)
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out"]


def test_an_export_through_a_link_replaces_the_folder_and_keeps_the_link(people: Dataset, tmp_path: Path) -> None:
    (tmp_path / "disk" / "out").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk" / "out")
    for _ in range(2):
        export(people, "webdataset", link)
        assert link.is_symlink()
        assert [path.name for path in (tmp_path / "disk").iterdir()] == ["out"]
    assert outputs.remembered(people, "export") == [tmp_path / "disk" / "out"]
    assert _forget_zeb(people)["records"] == 2
    assert not any("ds2f" in path.name for path in tmp_path.iterdir())


def test_a_link_left_by_an_interrupted_export_goes_without_what_it_points_to(people: Dataset, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    left = outputs.replaced(tmp_path / "out")
    export(people, "webdataset", tmp_path / "out")
    left.symlink_to(tmp_path / "elsewhere")
    export(people, "webdataset", tmp_path / "out")
    assert not left.is_symlink()
    left.symlink_to(tmp_path / "elsewhere")
    assert _forget_zeb(people)["records"] == 2
    assert not left.is_symlink()
    assert (tmp_path / "elsewhere").is_dir()


def test_an_export_does_not_replace_a_mount_point(
    people: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    with pytest.raises(UserError, match="is a mount point"):
        export(people, "webdataset", tmp_path / "disk")
    assert outputs.remembered(people, "export") == []


def test_a_folder_that_a_manifest_is_refused_is_not_remembered(people: Dataset, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").touch()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="holds other things"):
        export_manifest(people, "kaldi", thesis)
    with pytest.raises(UserError, match="cannot be written"):
        export_manifest(people, "kaldi", tmp_path / "file")
    assert outputs.remembered(people, "export") == []


def test_forgetting_leaves_a_readme_that_is_not_ours(people: Dataset, tmp_path: Path) -> None:
    mine = [json.dumps({"format": form}) for form in ("kaldi", "lhotse", "parquet")]
    for number, text in enumerate(mine):
        folder = tmp_path / f"thesis-{number}"
        folder.mkdir()
        (folder / "README.json").write_text(text)
        outputs.remember(people, "export", folder)  # as earlier versions did before they refused it
    (tmp_path / "file").touch()
    outputs.remember(people, "export", tmp_path / "file")
    assert _forget_zeb(people)["records"] == 0
    assert [(tmp_path / f"thesis-{number}" / "README.json").read_text() for number in range(3)] == mine


# ── reports ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("clips", "guided", "gone"),
    [
        ([("anna", "anna/0.mp4", "anna/1.mp4")], "anna/0.png", 0),
        ([("zeb", "zeb/0.mp4", "zeb/1.mp4")], "anna/0.png", 3),
        ([("anna", "anna/0.mp4", "anna/1.mp4")], "zeb/0.png", 3),  # of an earlier run, on another split
        (None, "anna/0.png", 2),  # of a run that was killed: it may show anybody
    ],
)
def test_reports_that_show_them_go(
    people: Dataset, tmp_path: Path, clips: list[tuple[str, str, str]] | None, guided: str, gone: int
) -> None:
    report = tmp_path / "report"
    _draw(report / "guided" / "blur-0.5" / "voice", guided)
    (report / "report.html").write_text("<img>")
    (report / "notes.txt").write_text("mine")
    if clips is not None:
        rows = [{"person": f"folder/{person}", "path": path, "reference": of} for person, path, of in clips]
        (report / "metrics.json").write_text(json.dumps({"clips": rows}))
    outputs.remember(people, "report", report)
    assert _forget_zeb(people)["reports"] == gone
    assert (_left(report) == {"notes.txt"}) == bool(gone)


def test_folders_are_remembered_once_by_where_they_are(people: Dataset, tmp_path: Path) -> None:
    changes = people.changes()
    for folder in (tmp_path / "a", Path(os.path.relpath(tmp_path / "a"))):
        outputs.remember(people, "faces", folder)
    assert outputs.remembered(people, "faces") == [tmp_path / "a"]
    assert people.changes() == changes
