from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import Site, serve

from ds2f.cli import main
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
    for wrong in ("ftp://host/a", "vox.zip", "https://host/"):
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
