"""Faces in a file: the same rows, the same training to the bit, made once, and never half of them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.models.decoder import Decoder
from ds2f.training import faces, reading
from ds2f.training.decoder import DecoderTask, decoder_config
from ds2f.training.faces import load_faces, load_splits, pack_faces, statistics
from ds2f.training.loop import Options, train
from ds2f.training.packed import FileZeros, Place
from ds2f.training.reading import FaceReader
from people import paired_dataset

SIZE, VOICES = 32, ["campplus-frames"]


@pytest.fixture
def filled(dataset: Dataset) -> Dataset:
    """Videos, and the last of them without a voice."""
    paired_dataset(dataset, 24)
    dataset.connection.execute("DELETE FROM voice_embeddings WHERE video_id = (SELECT max(id) FROM videos)")
    return dataset


def packed(dataset: Dataset, folder: Path) -> faces.PackedFaces:
    return pack_faces(dataset, "train", SIZE, VOICES, [], None, Place(folder, 0))


def test_rows_of_the_file_are_those_in_memory(filled: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK", 5)
    held, found = load_faces(filled, "train", SIZE, VOICES), packed(filled, tmp_path)
    assert len(held) == len(found) > 10
    assert held.dims == found.dims
    rows = torch.tensor([7, 0, len(held) - 1, 7])
    assert torch.equal(held.images(rows), found.images(rows))
    for name, known in held.known(rows).items():
        assert torch.equal(known.value, found.known(rows)[name].value), name
        assert torch.equal(known.given, found.known(rows)[name].given), name
    assert not held.conditions["voice:campplus-frames"].given.all()
    assert torch.equal(statistics(held)["identity"][0], statistics(found)["identity"][0])
    (place,) = tmp_path.glob("train-32-*")
    assert np.load(place / "image.npy", mmap_mode="r").shape == (len(held), 3, SIZE, SIZE)


def test_training_from_the_file_is_training_from_memory_to_the_bit(filled: Dataset, tmp_path: Path) -> None:
    found = []
    for most in (1e9, 0.0):
        held_out, data = load_splits(filled, tmp_path, SIZE, VOICES, [], Place(tmp_path / "packed", most))
        assert isinstance(data, faces.PackedFaces) == (most == 0)
        torch.manual_seed(0)
        config = replace(decoder_config(settings(), dict(data.dims)), width=64, depth=1, heads=1, refine=4)
        task = DecoderTask(Decoder(config), data, held_out, torch.device("cpu"))
        found.append(
            train(
                task, Options(tmp_path / str(most), batch=6, total=6 * 5, lr=0.01, seed=3, save_seconds=1e9)
            ).state_dict()
        )
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def settings() -> object:
    from ds2f.config import Train

    return Train(decoder_size=SIZE)


def test_the_file_is_made_once_and_anew_for_other_data(
    filled: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(filled, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(FaceReader, "blocks", None)
        packed(filled, tmp_path)
    (before,) = tmp_path.glob("train-32-*")
    (before / "packed.json").unlink()  # killed before it was whole
    assert len(packed(filled, tmp_path).images(torch.arange(3))) == 3
    with filled.transaction():
        filled.connection.execute("UPDATE faces SET coverage = 0.5")
    known = packed(filled, tmp_path).known(torch.arange(3))
    assert (known["coverage"].value == 0.5).all()
    assert [path.name for path in tmp_path.glob("train-32-*")] != [before.name]
    assert len(list(tmp_path.glob("train-32-*"))) == 1, "the old one is gone"


def test_a_number_that_could_not_be_measured_is_its_average(filled: Dataset, tmp_path: Path) -> None:
    with filled.transaction():
        filled.connection.execute("INSERT INTO acoustics (video_id, f0_mean_hz) SELECT id, id FROM videos")
    voices = [*VOICES, "acoustics"]
    held = load_faces(filled, "train", SIZE, voices).conditions["voice:acoustics"].value
    found = pack_faces(filled, "train", SIZE, voices, [], None, Place(tmp_path, 0)).known(torch.arange(len(held)))
    assert torch.equal(found["voice:acoustics"].value, held)
    assert torch.isfinite(held).all()


def test_a_file_that_was_cut_short_is_a_sentence(filled: Dataset, tmp_path: Path) -> None:
    found = packed(filled, tmp_path)
    (place,) = tmp_path.glob("train-32-*")
    with (place / "image.npy").open("r+b") as file:
        file.truncate(3000)
    with pytest.raises(UserError, match="cut short"):
        found.images(torch.tensor([5]))


def test_of_several_processes_one_makes_the_file(filled: Dataset, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom ds2f.dataset import Dataset\nfrom ds2f.training import faces\n"
        "from ds2f.training.packed import Place\nfrom ds2f.training.reading import FaceReader\n"
        "read = FaceReader.blocks\n"
        "def told(self, *a):\n    print('reads')\n    return read(self, *a)\n"
        "FaceReader.blocks = told\n"
        f"with Dataset(Path({str(filled.path)!r})) as d:\n"
        f"    place = Place(Path({str(tmp_path)!r}), 0)\n"
        f"    print(len(faces.pack_faces(d, 'train', {SIZE}, {VOICES!r}, [], None, place)))\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split() for process in both]
    assert sum("reads" in words for words in said) == 1
    assert said[0][-1] == said[1][-1]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc")
def test_a_process_holds_no_more_than_a_batch(tmp_path: Path) -> None:
    """All rows of a file of 100 MB are read, in batches, in a random order."""
    program = (
        "import numpy as np\nfrom pathlib import Path\nfrom ds2f.training.packed import RowFile\n"
        "def held():\n"
        "    lines = Path('/proc/self/smaps_rollup').read_text().splitlines()\n"
        "    return sum(int(line.split()[1]) for line in lines if line.startswith('Rss:')) / 1024\n"
        f"file = RowFile(Path({str(tmp_path / 'image.npy')!r}))\n"
        "order = np.random.default_rng(0).permutation(len(file)).reshape(-1, 64)\n"
        "file.rows(order[0])\nbefore, total = held(), 0\n"
        "for rows in order:\n    total += int(file.rows(rows)[:, 0, 0, 0].sum())\n"
        "print(total, held() - before)\n"
    )
    image = np.random.default_rng(0).integers(0, 256, (2048, 3, 128, 128), np.uint8)
    np.save(tmp_path / "image.npy", image)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    total, grown = done.stdout.split()
    assert int(total) == image[:, 0, 0, 0].sum()
    assert float(grown) < 12, "MB; a batch is 3"


@pytest.mark.skipif(sys.platform == "win32", reason="a file there has a name until it is closed")
def test_arrays_beyond_memory_lie_in_files_without_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    zeros = FileZeros(Place(folder, most_bytes=1000))
    held = zeros((100, 2), np.float32)
    assert not folder.exists()
    mapped = zeros((100, 2), np.float32)  # 1,600 bytes together
    assert mapped.shape == held.shape
    assert mapped.dtype == held.dtype
    assert not mapped.any()
    mapped[3] = 7
    assert mapped.sum() == 14
    assert isinstance(mapped.base, np.memmap)
    assert held.base is None
    assert not list(folder.iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space is not asked for before it is needed")
def test_a_disk_that_holds_no_array_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"do not fit into .*No space left.*packed"):
        FileZeros(Place(tmp_path, 0))((10,), np.float32)
    assert not list(tmp_path.iterdir())
