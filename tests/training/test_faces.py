"""What decoders are taught: whose word on looks, and clips of which length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.models import store
from ds2f.models.prior import Prior, PriorConfig
from ds2f.training.faces import load_faces, load_splits
from ds2f.training.packed import Place
from ds2f.training.pairs import load_pairs
from ds2f.types import ETHNICITIES
from people import paired_dataset

SIZE = 16


@pytest.fixture
def filled(dataset: Dataset) -> Dataset:
    """Two lengths of clips, 3 s the more frequent; voices of 6 s end with a 6."""
    paired_dataset(dataset, 24, seconds=(3.0, 6.0))
    sql = dataset.connection
    six = np.full(512, 6, "<f4").tobytes()
    sql.execute("UPDATE voice_embeddings SET vector = ? WHERE seconds = 6", (six,))
    sql.execute("DELETE FROM voice_embeddings WHERE seconds = 6 AND video_id = (SELECT min(id) FROM videos)")
    return dataset


def test_a_decoder_hears_clips_as_long_as_the_prior_beside_it_does(filled: Dataset, tmp_path: Path) -> None:
    def heard() -> torch.Tensor:
        held_out, _ = load_splits(filled, tmp_path, SIZE, ["campplus-frames"], [], Place(tmp_path, 1e9))
        return held_out.of("voice:campplus-frames")

    assert not (heard() == 6).any(), "no prior yet: the most frequent length"
    store.save(tmp_path, Prior(PriorConfig(clip_seconds=6.0, width=16, depth=1)), {})
    assert (heard() == 6).all()
    store.save(tmp_path, Prior(PriorConfig(clip_seconds=30.0, width=16, depth=1)), {})
    with pytest.raises(UserError, match=r"no voices of campplus-frames of 30 s; add 30 to \[audio\] clip_seconds"):
        heard()


def test_every_voice_is_of_clips_of_one_length(filled: Dataset) -> None:
    """An encoder whose voices are of other clips would be an input of no numbers, and learnt from silently."""
    filled.connection.execute("UPDATE voice_embeddings SET encoder = 'campplus' WHERE seconds = 6")
    for load in (
        lambda voices: load_pairs(filled, "train", voices, 1),
        lambda voices: load_faces(filled, "train", SIZE, voices),
    ):
        load(["campplus-frames"])
        with pytest.raises(UserError, match=r"no voices of campplus of 3 s; add 3 to \[audio\] clip_seconds"):
            load(["campplus-frames", "campplus"])


def test_the_first_faces_may_all_be_without_a_voice(filled: Dataset) -> None:
    """As where pictures were ingested before videos: of the faces read, not one has a voice, though others have."""
    first = "(SELECT min(v.id) FROM videos v JOIN identities i ON i.id = v.identity_id WHERE i.split = 'train')"
    filled.connection.execute(f"DELETE FROM voice_embeddings WHERE video_id = {first}")
    found = load_faces(filled, "train", SIZE, most=1)
    assert len(found) == 1
    assert "voice:campplus-frames" not in found.conditions
    assert len(load_faces(filled, "train", SIZE).of("voice:campplus-frames")) > 1


@pytest.mark.parametrize("model", ["uniface:fairface", "ds2f-attributes:mine"])
def test_other_attribute_models_teach_as_ours_does(filled: Dataset, model: str) -> None:
    ours = load_faces(filled, "train", SIZE).conditions
    filled.connection.execute("UPDATE face_attributes SET model = ?", (model,))
    assert filled.attribute_model() == model
    theirs = load_faces(filled, "train", SIZE).conditions
    for name in ("age", "gender", "ethnicity"):
        assert torch.equal(ours[name].value, theirs[name].value)
        assert theirs[name].given.all()
    looks = load_pairs(filled, "train", at_least=1).looks
    assert not np.isnan(looks.age).any()
    assert (looks.genders >= 0).all()


def test_ours_goes_before_theirs_and_other_ethnicities_are_not_taught(
    filled: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    sql = filled.connection
    columns = "attribute, value, probability, distribution FROM face_attributes"
    sql.execute(f"INSERT INTO face_attributes SELECT video_id, 'other', {columns}")
    assert filled.attribute_model() == "ds2f-attributes"
    sql.execute("DELETE FROM face_attributes WHERE model = 'ds2f-attributes'")
    sql.execute(
        "UPDATE face_attributes SET distribution = replace(distribution, ?, 'Latino') WHERE attribute = 'ethnicity'",
        (ETHNICITIES[-1],),
    )
    found = load_faces(filled, "train", SIZE).conditions
    assert {"age", "gender"} <= set(found)
    assert "ethnicity" not in found
    assert "other ethnicities than" in caplog.text
