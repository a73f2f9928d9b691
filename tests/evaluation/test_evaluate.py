"""evaluate() from end to end on a small made-up dataset, in which the voice says half of who it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f.dataset.queries import Dataset, Pair, SplitRule
from ds2f.dataset.store import store
from ds2f.errors import ItemError, UserError
from ds2f.evaluation.baselines import baselines
from ds2f.evaluation.run import evaluate
from ds2f.media import encode_flac, encode_webp
from ds2f.types import CorpusItem, DetectedFace, Extracted, Facts, StoredFace, StoredSpeech
from helpers import PLAN, wanting

DIM = 6


def _extracted(rng: np.random.Generator, person: np.ndarray) -> Extracted:
    crop = rng.integers(0, 255, (32, 32, 3), np.uint8)
    detected = DetectedFace((4, 4, 20, 20), np.zeros((5, 2), np.float32), 1.0)
    identity = (person + 0.05 * rng.normal(size=DIM)).astype(np.float32)
    voice = np.concatenate([person[:3], rng.normal(size=2)]).astype(np.float32)
    return Extracted(
        Facts(1.0, 32, 32, 25.0),
        StoredSpeech(encode_flac(np.zeros(1600, np.float32)), 0.0, 1.0),
        StoredFace(encode_webp(crop), None, identity, detected, 0.0, 1.0, 1.0, 1),
        clips={6.0: (1.0, 6.0)},
        voices={(6.0, "resemblyzer"): voice},
    )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 people with two clips each."""
    path = tmp_path_factory.mktemp("data") / "dataset.db"
    rng = np.random.default_rng(0)
    items = [CorpusItem(f"p{i // 2}/{i}.mp4", "folder", f"p{i // 2}", 1, 1) for i in range(400)]
    with Dataset(path, create=True) as data:
        data.add_items(Path("videos"), "video", items, SplitRule())
        people: dict[str, np.ndarray] = {}
        for job in wanting(data):
            person = people.setdefault(job.source.path.parent.name, rng.normal(size=DIM))
            store(data, job, _extracted(rng, person), PLAN)
    return path


@pytest.fixture(scope="module")
def pairs(database: Path) -> list[Pair]:
    with Dataset(database) as data:
        return data.pairs("test")


def _draw(folder: Path, pairs: list[Pair], suffix: str = ".png") -> None:
    for pair in pairs:
        file = (folder / pair.path).with_suffix(suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (90, 120, 150)).save(file)


def _embedder(pairs: list[Pair]):  # type: ignore[no-untyped-def]
    """Sees the true person in pictures of the folder `true`, and no face at all in those of `blank`."""
    known = {str(Path(pair.path).with_suffix("")): pair.identity for pair in pairs}

    def embed(path: Path) -> np.ndarray:
        if "blank" in path.parts:
            raise ItemError("face", "no face found")
        return known[str(Path(*path.parts[-2:]).with_suffix(""))]

    return embed


def test_end_to_end(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    assert len(pairs) >= 20
    _draw(tmp_path / "true", pairs[1:], ".jpg")
    _draw(tmp_path / "blank", pairs)
    (tmp_path / "true" / "generation.json").write_text('{"checkpoint": "step-4711", "seed": 7}')
    ticks: list[tuple[int, int]] = []
    images = {"oracle <1>": tmp_path / "true", "blank": tmp_path / "blank"}
    result = evaluate(
        database,
        images,
        "test",
        tmp_path / "out",
        200,
        progress=lambda *tick: ticks.append(tick),
        embed=_embedder(pairs),
    )
    assert ticks == [(i + 1, 2 * len(pairs)) for i in range(2 * len(pairs))]

    n = len(pairs) - 1  # the gallery lacks the person's other clip
    by_name = {method.name: method for method in result.methods}
    oracle, blank = by_name["oracle <1>"], by_name["blank"]
    assert (oracle.faces, oracle.missing, oracle.faceless) == (n, 1, 0)
    assert oracle.euclidean.r_at_1.value == pytest.approx((n + 1 / n) / (n + 1))
    assert oracle.distances is not None
    assert oracle.distances.l2.value == 0.0
    assert (blank.faces, blank.faceless, blank.distances) == (0, len(pairs), None)
    assert blank.euclidean.median_rank.value == result.chance.median_rank.value == (n + 1) / 2
    assert blank.euclidean.r_at_5.value == pytest.approx(result.chance.r_at_5.value)
    assert by_name["mean face"].centred_cosine.r_at_1.value == pytest.approx(1 / n)
    linear = by_name["linear prior"].euclidean.median_rank
    assert linear.low is not None
    assert linear.high is not None
    assert linear.low <= linear.value <= linear.high < (n + 1) / 2

    written = json.loads(result.metrics_file.read_text())
    assert written["version"] == 1
    assert written["fingerprint"] == result.fingerprint
    assert [method["name"] for method in written["methods"]] == list(by_name)
    assert written["methods"][0]["euclidean"]["r_at_1"]["value"] == oracle.euclidean.r_at_1.value
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.json", "report.html"]

    page = result.report_file.read_text()
    for shown in (
        "oracle &lt;1&gt;",
        "blank",
        "mean face",
        "random face",
        "nearest voice",
        "linear prior",
        "chance",
    ):
        assert shown in page
    for shown in ("step-4711", result.fingerprint, "imagined", "no picture", "identify nobody"):
        assert shown in page
    assert not re.search(r"https?:|url\(|(src|href)=\"(?!data:)", page)
    assert "<script" not in page


def test_without_pictures_only_baselines(database: Path, tmp_path: Path) -> None:
    result = evaluate(database, {}, "val", tmp_path, 50)
    assert [method.kind for method in result.methods] == ["baseline"] * 4


def test_baselines_never_answer_with_the_person_asked_for(database: Path) -> None:
    with Dataset(database) as data:
        train = data.pairs("train")
    for baseline in baselines(train, train)[1:3]:  # random face, nearest voice
        own = {pair.identity.astype(np.float64).tobytes(): pair.person for pair in train}
        assert all(own[v.tobytes()] != pair.person for v, pair in zip(baseline.vectors, train, strict=True))


def test_what_the_user_can_mend(database: Path, pairs: list[Pair], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="no folder of pictures"):
        evaluate(database, {"x": tmp_path / "nowhere"}, "test", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No picture in"):
        evaluate(database, {"x": tmp_path / "empty"}, "test", out)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another folder"):
        evaluate(database, {}, "test", tmp_path / "file")
    with pytest.raises(UserError, match="one resample or more"):
        evaluate(database, {}, "test", out, bootstrap=0)
    Dataset(tmp_path / "new.db", create=True).close()
    with pytest.raises(UserError, match=r"no usable pairs in split test .* ds2f extract"):
        evaluate(tmp_path / "new.db", {}, "test", out)


def test_the_made_up_people_are_in_all_splits() -> None:
    """If the hash of the splits ever changes, the tests above would measure nothing."""
    splits = [SplitRule().of("folder", f"p{i}") for i in range(200)]
    assert min(splits.count(split) for split in ("train", "val", "test")) >= 10
