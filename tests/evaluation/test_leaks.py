"""People of the measured split from whom the model has learnt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.queries import Pair
from ds2f.dataset.speakers import people_of, speaker_hash
from ds2f.errors import UserError
from ds2f.evaluation.leaks import learnt_from, model_of
from ds2f.evaluation.protocols.sf2f import write_table
from ds2f.evaluation.run import evaluate, refuse_leaks
from ds2f.models import folders, store
from ds2f.models.prior import Prior, PriorConfig
from made_up_people import Embedder, draw, make_dataset, quick

PRIOR = Prior(PriorConfig(width=16, depth=1))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """People of VoxCeleb, not of somebody's own folders."""
    path = tmp_path / "published.db"
    make_dataset(path)
    with Dataset(path) as data:
        data.connection.execute("UPDATE identities SET corpus = 'voxceleb'")
    return path


def test_pictures_by_a_model_that_knows_the_people_are_refused_and_named(published: Path, tmp_path: Path) -> None:
    with Dataset(published) as data:
        pairs: list[Pair] = data.pairs("test")
        test = people_of(data, "test")
        some = [min(hashes) for hashes in list(test.values())[:3]]
        store.save(tmp_path / "model", PRIOR, {"people": [*some, speaker_hash("voxceleb", "id10001")]})
        said = learnt_from(data, "test", tmp_path / "model", "prior")
        assert f"has learnt from 3 of the {len(test)} people of test" in said
        assert learnt_from(data, "val", tmp_path / "model", "prior") == ""
        assert learnt_from(data, "train", tmp_path / "model", "prior") == "", "that is said otherwise"
        assert learnt_from(data, "test", tmp_path / "nowhere", "prior") == ""
    draw(tmp_path / "true", pairs)
    noted = {
        "folder": str(tmp_path / "moved"),
        "fingerprint": "0",
        "prior": folders.digest(tmp_path / "model", "prior"),
    }
    (tmp_path / "true" / "generation.json").write_text(json.dumps({"model": noted, "faces": []}))
    assert model_of(tmp_path / "true") is None
    noted["folder"] = str(tmp_path / "model")
    (tmp_path / "true" / "generation.json").write_text(json.dumps({"model": noted, "faces": []}))
    assert model_of(tmp_path / "true") == tmp_path / "model"
    images = {"ds2f": tmp_path / "true"}
    with pytest.raises(UserError, match=r"would be optimistic: .*prior in .*model has learnt from 3 of"):
        evaluate(published, images, "test", tmp_path / "out", quick(50), embed=Embedder(pairs))
    result = evaluate(published, images, "test", tmp_path / "out", quick(50, allow_leak=True), embed=Embedder(pairs))
    assert any("has learnt from 3 of" in leak for leak in result.provenance.leaks)


def test_names_of_folders_may_be_other_people(database: Path, tmp_path: Path) -> None:
    with Dataset(database) as data:
        everybody = set().union(*people_of(data, "test").values())
        assert all(hash.startswith("~") for hash in everybody)
        store.save(tmp_path, PRIOR, {"people": sorted(everybody)})
        assert learnt_from(data, "test", tmp_path, "prior") == ""


def test_tables_of_people_say_further_names(dataset: Dataset) -> None:
    sql = dataset.connection
    sql.execute("INSERT INTO roots (path) VALUES ('/a')")
    sql.execute("INSERT INTO identities (corpus, name, split) VALUES ('voxceleb', 'A_B', 'test')")
    sql.execute(
        "INSERT INTO videos (root_id, path, kind, identity_id, size, mtime_ns) VALUES (1, '1.wav', 'sound', 1, 1, 1)"
    )
    sql.execute("INSERT INTO speech (video_id, start, seconds) VALUES (1, 0, 3)")
    for corpus, name in (("voxceleb", "A_B"), ("voxceleb", "id10001"), ("vggface", "A_B")):
        sql.execute("INSERT INTO known_as VALUES (?, ?, '/meta.csv', 1)", (corpus, name))
    expected = {speaker_hash(*name) for name in (("voxceleb", "A_B"), ("voxceleb", "id10001"), ("vggface", "A_B"))}
    assert people_of(dataset, "test") == {1: expected}


def test_pictures_by_the_shipped_prior_are_known_wherever_they_were_drawn(tmp_path: Path) -> None:
    for prior, found in ((folders.digest(folders.shipped(), "prior"), folders.shipped()), ("another", None)):
        noted = {"model": {"folder": "/elsewhere/ds2f/weights", "prior": prior}, "faces": []}
        (tmp_path / "generation.json").write_text(json.dumps(noted))
        assert model_of(tmp_path) == found


def test_sf2f_and_a_run_that_trains_no_prior_are_refused_likewise(published: Path, tmp_path: Path) -> None:
    with Dataset(published) as data:
        pairs, everybody = data.pairs("test"), set[str]().union(*people_of(data, "test").values())
    store.save(tmp_path / "model", PRIOR, {"people": sorted(everybody)})
    with pytest.raises(UserError, match="has learnt from"):
        refuse_leaks(published, "test", tmp_path / "model")
    refuse_leaks(published, "test")
    draw(tmp_path / "true", pairs)
    noted = {"folder": str(tmp_path / "model"), "prior": folders.digest(tmp_path / "model", "prior")}
    (tmp_path / "true" / "generation.json").write_text(json.dumps({"model": noted, "faces": []}))
    with pytest.raises(UserError, match="has learnt from"):
        write_table(published, "test", {"ds2f": tmp_path / "true"}, tmp_path / "out", [])
    write_table(published, "test", {"ds2f": tmp_path / "true"}, tmp_path / "out", [], allow_leak=True)
    assert "has learnt from" in json.loads((tmp_path / "out" / "sf2f.json").read_text())["leaks"][0]
