from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import Site, serve

from ds2f.cli import main
from ds2f.corpora.download import voxceleb
from ds2f.corpora.download.voxceleb import download, file_name
from ds2f.errors import UserError

CLIPS = {f"dev/mp4/id{k:05d}/0a1B2c3D4e5/00001.mp4": bytes([k]) * 5000 for k in range(20)}


def _site() -> Site:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, data in CLIPS.items():
            made.writestr(name, data)
    data = buffer.getvalue()
    third = len(data) // 3 + 1
    parts = {f"vox2_dev_mp4_parta{letter}": data[i * third : (i + 1) * third] for i, letter in enumerate("abc")}
    return Site({**parts, "vox2_meta.csv": b"VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,f ,dev \n"})


def _there(out: Path) -> set[str]:
    return {str(p.relative_to(out)) for p in out.rglob("*.mp4")}


def test_parts_are_fetched_checked_joined_and_unpacked(tmp_path: Path) -> None:
    with serve(_site()) as site:
        urls = [f"{site.address}/{name}" for name in site.files]
        sums = {name: hashlib.md5(data).hexdigest() for name, data in site.files.items()}
        stages: list[str] = []
        got = download(urls, tmp_path, checksums=sums, stages=lambda name: lambda *told: stages.append(name))
        assert list(dict.fromkeys(stages)) == ["download", "check", "join", "unpack"]
        assert (got.archives, got.files, got.missing) == (("vox2_dev_mp4.zip",), 20, {})
        assert _there(tmp_path) == set(CLIPS)
        assert (tmp_path / "vox2_meta.csv").exists()
        asked = len(site.requests)
        again = download(urls, tmp_path, checksums=sums)
        assert (again.files, len(site.requests)) == (0, asked), "what is there is not fetched again"


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_a_corpus_that_is_partly_there_waits_for_the_rest(tmp_path: Path, lacking: int) -> None:
    with serve(_site()) as site:
        parts = [f"{site.address}/vox2_dev_mp4_parta{letter}" for letter in "abc"]
        got = download([p for k, p in enumerate(parts) if k != lacking], tmp_path)
        (missing,) = got.missing.values()
        assert missing == (("vox2_dev_mp4_partaa",), ("vox2_dev_mp4_partab",), ("the last part",))[lacking]
        assert got.archives == ()
        assert download([parts[lacking]], tmp_path).archives == ("vox2_dev_mp4.zip",)
        assert _there(tmp_path) == set(CLIPS)


def test_a_wrong_checksum_is_set_aside_and_fetched_anew(tmp_path: Path) -> None:
    with serve(_site()) as site:
        urls = [f"{site.address}/vox2_dev_mp4_parta{letter}" for letter in "abc"]
        right = site.files["vox2_dev_mp4_partab"]
        sums = {"vox2_dev_mp4_partab": hashlib.md5(right).hexdigest()}
        site.files["vox2_dev_mp4_partab"] = right[:-1] + b"?"
        with pytest.raises(UserError, match="damaged or another file"):
            download(urls, tmp_path, checksums=sums)
        site.files["vox2_dev_mp4_partab"] = right
        assert download(urls, tmp_path, checksums=sums).files == 20


def test_names_of_addresses() -> None:
    assert file_name("https://host/a/vox1_dev_wav_partaa") == "vox1_dev_wav_partaa"
    assert file_name("https://host/get?key=1&file=vox1a/vox2_dev_mp4_partaa") == "vox2_dev_mp4_partaa"
    for wrong in (
        "ftp://host/a",
        "vox.zip",
        "https://host/",
        "https://host/..",
        "https://host/a%5Cb",
        "https://host/a%00",
    ):
        with pytest.raises(UserError, match="not the address of a file"):
            file_name(wrong)


def test_terms_come_before_the_first_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(_site()) as site:
        urls = [f"{site.address}/{name}" for name in site.files]
        assert main(["download", "voxceleb2", *urls, "--out", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert "is for research" in said
        assert "--accept-terms" in said
        assert site.requests == []
        assert main(["download", "voxceleb2", *urls, "--out", str(tmp_path), "--accept-terms"]) == 0
    assert "1 archives, 20 new files" in capsys.readouterr().out
    assert main(["ingest", str(tmp_path), "--database", str(tmp_path / "d.db")]) == 0


# ── runs that were killed ─────────────────────────────────────────────────────────────────────────────────────


PARTS = tuple(f"vox2_dev_mp4_parta{letter}" for letter in "abc")


def _store(out: Path, *names: str) -> Path:
    """The store with these parts of the archive, or with all of it as vox2_dev_mp4.zip."""
    files = _site().files
    store = out / "archives"
    store.mkdir(parents=True, exist_ok=True)
    for name in names:
        whole = b"".join(files[part] for part in PARTS)
        (store / name).write_bytes(whole if name.endswith(".zip") else files[name])
    return store


def _names(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir())


@pytest.mark.parametrize("left", [(*PARTS, "vox2_dev_mp4.zip"), PARTS[1:], PARTS[2:], ("vox2_dev_mp4.zip",)])
def test_killed_after_unpacking_the_rest_is_removed_and_nothing_is_joined_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: tuple[str, ...]
) -> None:
    store = _store(tmp_path, *left)
    (store / "vox2_dev_mp4.zip.done").touch()
    monkeypatch.setattr(voxceleb, "join", None)
    got = download([], tmp_path)
    assert (got.archives, got.files, got.missing) == ((), 0, {})
    assert _names(store) == ["vox2_dev_mp4.zip.done"]


def test_killed_after_joining_it_is_not_joined_again_and_the_parts_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _store(tmp_path, *PARTS, "vox2_dev_mp4.zip")
    monkeypatch.setattr(voxceleb, "join", None)
    assert download([], tmp_path).files == 20
    assert _names(store) == ["vox2_dev_mp4.zip.done"]


def test_killed_after_joining_without_the_last_part_it_is_joined_again_when_it_is_there(tmp_path: Path) -> None:
    store = _store(tmp_path, *PARTS)
    (store / "vox2_dev_mp4.zip").write_bytes(b"".join((store / part).read_bytes() for part in PARTS[:2]))
    assert download([], tmp_path).files == 20
    assert _there(tmp_path) == set(CLIPS)


def test_parts_may_stay(tmp_path: Path) -> None:
    store = _store(tmp_path, *PARTS)
    assert download([], tmp_path, keep=True).files == 20
    assert _names(store) == sorted((*PARTS, "vox2_dev_mp4.zip", "vox2_dev_mp4.zip.done"))
    assert download([], tmp_path, keep=True).files == 0
    assert download([], tmp_path).files == 0
    assert _names(store) == ["vox2_dev_mp4.zip.done"]


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: bytes(len(data))])
def test_a_damaged_part_is_said_and_the_right_one_mends_it(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    store = _store(tmp_path, *PARTS)
    right = (store / PARTS[1]).read_bytes()
    (store / PARTS[1]).write_bytes(damage(right))
    with pytest.raises(UserError, match=r"not a whole zip archive .* remove it from"):
        download([], tmp_path)
    assert _names(store) == list(PARTS), "it is joined again"
    (store / PARTS[1]).write_bytes(right)
    assert download([], tmp_path).archives == ("vox2_dev_mp4.zip",)
    assert {name: (tmp_path / name).read_bytes() for name in _there(tmp_path)} == CLIPS


@pytest.mark.parametrize(("third", "said"), [(5, "ac differs in size"), (9, "one of its parts is damaged")])
def test_a_part_of_another_size_is_named(tmp_path: Path, third: int, said: str) -> None:
    for name, size in {"aa": 9, "ab": 9, "ac": third, "ad": 3}.items():
        (tmp_path / name).write_bytes(bytes(size))
    assert voxceleb._advice(tmp_path, ["aa", "ab", "ac", "ad"]).startswith(said)


def test_a_joined_archive_with_a_wrong_checksum_is_joined_again(tmp_path: Path) -> None:
    store = _store(tmp_path, *PARTS)
    with pytest.raises(UserError, match=r"has the MD5 sum .* remove it from"):
        download([], tmp_path, checksums={"vox2_dev_mp4.zip": "0" * 32})
    assert _names(store) == list(PARTS)
    assert download([], tmp_path).files == 20


def test_two_addresses_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"both give a file meta\.csv"):
        download(["http://host/vox1/meta.csv", "http://host/vox2/meta.csv"], tmp_path)
    assert list(tmp_path.rglob("*.csv")) == []
