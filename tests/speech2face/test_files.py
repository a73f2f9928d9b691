"""One face, or several, for every clip of a dataset."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.queries import Pair
from ds2f.errors import UserError
from ds2f.evaluation.embed import find_pictures
from ds2f.speech2face.files import from_dataset
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from people import paired_dataset


def test_several_faces_of_a_clip_are_numbered_kept_and_found(dataset: Dataset, tmp_path: Path) -> None:
    paired_dataset(dataset, 20)
    model, out = Speech2Face.from_pretrained(device="cpu", size=64), tmp_path / "faces"
    split = next(s for s in ("val", "test") if dataset.pairs(s))
    pairs = dataset.pairs(split)

    first = from_dataset(model, dataset, split, out, 2, 5, SamplingSettings()).faces
    assert len({path.read_bytes() for path in first}) == 2 * len(pairs), "every one is another"
    assert [[file.name[-6:] for file in of_clip] for of_clip in find_pictures(out, pairs)] == [
        ["-0.png", "-1.png"] for _ in pairs
    ]
    record = json.loads((out / "generation.json").read_text())["faces"]
    assert {entry["root"] for entry in record} == {"/videos"}
    assert [entry["input"] for entry in record] == [pair.path for pair in pairs for _ in range(2)]
    assert [entry["seed"] for entry in record] == list(range(5, 5 + 2 * len(pairs)))

    first[0].unlink()
    made = [path.stat().st_mtime_ns for path in first[1:]]
    assert from_dataset(model, dataset, split, out, 2, 5, SamplingSettings()).faces == first
    assert [path.stat().st_mtime_ns for path in first[1:]] == made, "only what is missing is drawn"

    (single,) = from_dataset(model, dataset, split, tmp_path / "single", 1, 5, SamplingSettings()).faces[:1]
    assert single.with_suffix("").name == Path(pairs[0].path).stem
    with pytest.raises(UserError, match="one face per clip, which would hide 2"):
        from_dataset(model, dataset, split, tmp_path / "single", 2, 5, SamplingSettings())


def test_a_decoder_that_hears_for_itself_needs_its_own_rows_of_every_clip(dataset: Dataset, tmp_path: Path) -> None:
    paired_dataset(dataset, 8)
    model, direct = Speech2Face.from_pretrained(device="cpu", size=64), SamplingSettings(direct=True)
    split = "train"
    pairs, rng = dataset.pairs(split), np.random.default_rng(0)

    def hear(which: list[Pair]) -> None:
        rows = [(pair.video_id, rng.normal(size=256).astype("<f4").tobytes()) for pair in which]
        dataset.connection.executemany("INSERT INTO voice_embeddings VALUES (?, 6, 'resemblyzer', ?)", rows)

    with pytest.raises(UserError, match="cannot be conditioned on voices by campplus-frames"):
        from_dataset(model, dataset, split, tmp_path / "none", 1, 0, direct)
    hear(pairs[:1])
    with pytest.raises(UserError, match=r"Not all clips of .* have a row of 'resemblyzer'"):
        from_dataset(model, dataset, split, tmp_path / "some", 1, 0, direct)
    hear(pairs[1:])
    drawn = from_dataset(model, dataset, split, tmp_path / "all", 1, 0, direct).faces
    heard = from_dataset(model, dataset, split, tmp_path / "heard", 1, 0, SamplingSettings()).faces
    assert len(drawn) == len(pairs)
    assert drawn[0].read_bytes() != heard[0].read_bytes()
