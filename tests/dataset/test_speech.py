from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2f.dataset import Dataset
from ds2f.dataset.speech import Sounds, spoken_files
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.io.speech import decode
from helpers import PLAN, extracted, item, wanting


def test_the_speech_of_a_split_and_whose_it_is(dataset: Dataset) -> None:
    items = [item(f"{who}/{n}.mp4", who) for who in ("ann", "bob") for n in range(2)]
    dataset.add_items(Path("/videos"), "video", items, SplitRule(val=0, test=0))
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, extracted(number, voice=number != 3), PLAN)
    files = spoken_files(dataset, "train")
    assert [file.person for file in files] == [files[0].person] * 2 + [files[2].person]
    assert files[0].person != files[2].person
    assert spoken_files(dataset, "test") == []
    sounds = Sounds(dataset.path)
    assert [len(sounds[file.file]) for file in files] == [file.size for file in files]
    assert np.asarray(decode(sounds[files[0].file])).shape == (64_000,)
    with pytest.raises(KeyError):
        sounds[999]
