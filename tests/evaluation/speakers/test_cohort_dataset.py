"""The stored voices of a dataset as a cohort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2f.config import Audio
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.evaluation.speakers.cohort import Wanted, read_cohort
from ds2f.evaluation.speakers.encoding import Condition, NamedEncoder
from ds2f.evaluation.speakers.people import speakers_of

from .conftest import Spectrum


def test_a_dataset_gives_a_mean_voice_for_everybody_of_its_train_split(database: Path, tmp_path: Path) -> None:
    with Dataset(database) as data:
        encoder = data.voice_encoder()
        seconds = data.clip_seconds(encoder)
        people = {r[0] for r in data.connection.execute("SELECT name FROM identities WHERE split = 'train'")}
    encoders = [NamedEncoder(Spectrum(encoder), encoder)]
    wanted = Wanted(tmp_path, encoders, Condition(seconds=seconds), Audio(), tmp_path)
    found = read_cohort(database, wanted, set())
    assert 10 <= found.size <= len(people)
    np.testing.assert_allclose(np.linalg.norm(found.means[encoder], axis=1), 1, atol=1e-6)
    assert not list(tmp_path.iterdir()), "nothing is heard"
    with pytest.raises(UserError, match="holds voices of clips of one length, and whole recordings are compared"):
        read_cohort(database, Wanted(tmp_path, encoders, Condition(seconds=None, whole=True), Audio(), tmp_path), set())
    wrong = Wanted(tmp_path, [NamedEncoder(Spectrum("other"), "other")], Condition(seconds=seconds), Audio(), tmp_path)
    with pytest.raises(UserError, match=r"has no voices by other of .* in its train split; name it in \[audio\]"):
        read_cohort(database, wrong, set(speakers_of([], tmp_path).values()))
