"""With a real Ray: a cluster of two nodes on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.shards import OF_A_FILE
from ds2f.dataset.splits import SplitRule
from ds2f.errors import UserError
from ds2f.extract.engines import pick
from ds2f.extract.engines.base import Engine, Load
from ds2f.extract.engines.local import local_processes
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import ExtractSettings
from helpers import jobs, make_fake_extract, make_that_dies, make_that_fails

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ds2f[ray]'")
from ray.cluster_utils import Cluster  # noqa: E402

from ds2f.extract.engines.ray import ray_actors  # noqa: E402

TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes with room for one actor each; the one that is not the head can be lost."""
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])  # workers import tests/helpers.py
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)  # for the nodes, not by a runtime_env: its workers cannot be started ahead
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        cluster.add_node(num_cpus=1)
        ray.init(cluster.address, logging_level="ERROR", log_to_driver=False)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def test_an_address_where_nothing_is() -> None:
    engine = pick("ray", "127.0.0.1:1")
    with pytest.raises(UserError, match=r"Ray cluster 127\.0\.0\.1:1 cannot be reached"):
        next(engine(iter(jobs(1)), make_fake_extract, Load()))


def test_no_address_is_no_cluster_that_ran_here_before(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def init(address: str | None = None, **options: object) -> None:
        asked.append(address)
        raise ConnectionError("far enough")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UserError, match="of this machine"):
        next(pick("ray", "")(iter(jobs(1)), make_fake_extract, Load()))
    assert asked == ["local"]


def test_a_node_lost_in_the_middle_loses_and_doubles_nothing(cluster: Cluster) -> None:
    make = partial(make_fake_extract, refused=frozenset({5}), seconds=0.02)
    seen: list[int] = []
    for outcome in ray_actors(jobs(120), make, Load(2, batch=2)):
        seen.append(outcome.job.video_id)
        assert outcome.result.failures == ((("speech", "no speech found"),) if seen[-1] == 5 else ())
        if len(seen) == 40:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    cluster.add_node(num_cpus=1)
    assert sorted(seen) == list(range(120))


def test_a_file_that_kills_its_worker_is_the_only_failure(cluster: Cluster) -> None:
    outcomes = list(ray_actors(jobs(12), partial(make_fake_extract, deadly=frozenset({7})), Load(2, batch=3)))
    assert sorted(outcome.job.video_id for outcome in outcomes) == list(range(12))
    assert [(o.job.video_id, o.result.failures) for o in outcomes if o.failed] == [
        (7, (("worker", "the worker died on this file 3 times"),))
    ]


def test_a_model_that_cannot_be_loaded_stops_the_run_and_blames_no_file(cluster: Cluster) -> None:
    with pytest.raises(UserError, match="face_recognition_models is missing"):
        list(ray_actors(jobs(3), make_that_fails, Load(2)))


def test_actors_that_die_while_they_load_end_the_run_and_blame_no_file(cluster: Cluster) -> None:
    with pytest.raises(UserError, match="died while it loaded its models"):
        list(ray_actors(jobs(3), make_that_dies, Load(2)))


def test_the_same_rows_as_the_local_engine(cluster: Cluster, tmp_path: Path, shared_data: Path) -> None:
    from ds2f.config import Config
    from ds2f.corpora.scan import scan

    folder = tmp_path / "avspeech"
    folder.mkdir()
    for source in sorted((shared_data / "videos" / "avspeech").glob("*.mp4"))[:3]:
        (folder / source.name).symlink_to(source)
    (folder / "letter.mp4").write_text("Dear Sir or Madam")

    def rows(engine: Engine, workers: int, name: str) -> list[list[tuple[object, ...]]]:
        path = tmp_path / name
        with Dataset(path, create=True) as dataset:
            dataset.add_items(folder, "video", scan(folder, "video"), SplitRule())
        extract_missing(path, ExtractSettings.of(Config()), Load(workers, 2), engine)
        tables = (
            "speech",
            "speech_audio",
            "clips",
            "voice_embeddings",
            "faces",
            "crops",
            "face_embeddings",
            "failures",
        )
        with Dataset(path) as dataset:
            return [[tuple(r) for r in dataset.connection.execute(f"SELECT * FROM {t} ORDER BY 1, 2")] for t in tables]

    found = rows(ray_actors, 2, "ray.db")
    assert found == rows(local_processes, 1, "local.db")
    assert len(found[OF_A_FILE.index("speech")]) >= 2


def test_an_engine_that_does_not_exist() -> None:
    with pytest.raises(UserError, match="engines are local and ray"):
        pick("slurm")
