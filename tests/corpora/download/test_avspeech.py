from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

from ds2f.corpora import recognise
from ds2f.corpora.download import avspeech
from ds2f.corpora.download.avspeech import STATE, Counts, Segment, download, options, read_list, youtube
from ds2f.corpora.scan import scan
from ds2f.errors import UserError

LIST = "0a1B2c3D4e5,12.5,18.0,0.5,0.5\n-a_B2c3D4e5,0,3.123,0.1,0.9\n1a1B2c3D4e5,5,9,0.5,0.5\n"


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    asked: list[float] = []
    monkeypatch.setattr(avspeech.time, "sleep", asked.append)
    return asked


@pytest.fixture
def segments(tmp_path: Path) -> list[Segment]:
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    return read_list(path)


def test_the_list_and_the_names_that_ingest_knows(segments: list[Segment]) -> None:
    assert segments[0] == Segment("0a1B2c3D4e5", 12.5, 18.0)
    for segment in segments:
        corpus, found = recognise(PurePosixPath("avspeech") / f"{segment.name}.mp4", "video")
        assert (corpus, found.identity) == ("avspeech", segment.video)


@pytest.mark.parametrize("line", ["0a1B2c3D4e5,12.5", "0a1B2c3D4e5,a,b,0,0", "short,1,2,0,0", "0a1B2c3D4e5,5,5,0,0"])
def test_mistakes_in_the_list_are_named_by_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.csv").write_text(LIST + line + "\n")
    with pytest.raises(UserError, match="line 4"):
        read_list(tmp_path / "list.csv")


class _Taker:
    """Fetches what is not in `wrong`, and counts how often it was asked."""

    def __init__(self, **wrong: str) -> None:
        self.wrong, self.asked = wrong, [""][:0]

    def __call__(self, segment: Segment, target: Path) -> None:
        self.asked.append(segment.video)
        for video, reason in self.wrong.items():
            if video in segment.video:
                raise RuntimeError(reason)
        target.write_bytes(b"clip")


def test_missing_videos_are_rows_with_a_reason_and_not_asked_for_again(
    tmp_path: Path, segments: list[Segment], waits: list[float]
) -> None:
    gone = "\x1b[0;31mERROR:\x1b[0m [youtube] -a_B2c3D4e5: Private video. Sign in if you may see it; please report this"
    taker = _Taker(a_B2=gone)
    assert download(segments, tmp_path / "out", taker) == Counts(there=0, fetched=2, failed=1, gone=0)
    (row,) = [json.loads(line) for line in (tmp_path / "out" / STATE).read_text().splitlines()]
    assert row["clip"] == segments[1].name
    assert row["reason"] == "Private video. Sign in if you may see it"
    assert len(waits) == 2, "a pause between two, none before the first"
    assert all(3.0 <= wait <= 6.0 for wait in waits)
    assert download(segments, tmp_path / "out", taker) == Counts(there=2, fetched=0, failed=0, gone=1)
    assert len(taker.asked) == 3
    assert download(segments, tmp_path / "out", _Taker(), retry_failed=True) == Counts(2, 1, 0, 0)


def test_too_many_requests_stop_the_run_and_blame_no_video(tmp_path: Path, segments: list[Segment]) -> None:
    with pytest.raises(UserError, match="asks for a pause"):
        download(segments, tmp_path, _Taker(a_B2="HTTP Error 429: Too Many Requests"))
    assert not (tmp_path / STATE).exists()
    assert download(segments, tmp_path, _Taker()) == Counts(1, 2, 0, 0)


def test_a_network_that_is_down_is_no_fault_of_the_videos(tmp_path: Path) -> None:
    segments = [Segment(f"{k:011d}", 0, 3) for k in range(9)]
    taker = _Taker(**{"0": "<urlopen error [Errno -3] Temporary failure in name resolution>"})
    with pytest.raises(UserError, match="network seems to be down"):
        download(segments, tmp_path, taker)
    assert len(taker.asked) == avspeech.NETWORK_FAILURES
    assert not (tmp_path / STATE).exists()


def test_a_network_that_fails_now_and_then_is_counted(
    tmp_path: Path, segments: list[Segment], waits: list[float]
) -> None:
    found = download(segments, tmp_path, _Taker(a_B2="<urlopen error [Errno -3] Temporary failure in name resolution>"))
    assert found == Counts(there=0, fetched=2, failed=0, gone=0, unreached=1)


def test_a_state_file_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path, segments: list[Segment]) -> None:
    (tmp_path / STATE).write_text(json.dumps({"clip": segments[0].name, "reason": "gone"}) + '\n{"clip": "x')
    assert download(segments, tmp_path, _Taker()) == Counts(0, 2, 0, 1)


def test_yt_dlp_takes_our_options_and_cuts_only_the_segment(tmp_path: Path, segments: list[Segment]) -> None:
    library = pytest.importorskip("yt_dlp", reason="yt-dlp is not installed: pip install 'ds2f[download]'")
    chosen = options(library, segments[0], tmp_path / "100%.mp4", 720)
    with library.YoutubeDL(chosen) as session:
        assert session.prepare_filename({"id": "x", "ext": "mp4", "title": "t"}) == str(tmp_path / "100%.mp4")
        (span,) = session.params["download_ranges"]({}, session)
        assert (span["start_time"], span["end_time"]) == (12.5, 18.0)
        session.build_format_selector(chosen["format"])


def test_yt_dlp_errors_become_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yt_dlp", reason="yt-dlp is not installed: pip install 'ds2f[download]'")
    monkeypatch.setattr(avspeech.shutil, "which", lambda name: "/usr/bin/ffmpeg")
    take = youtube(address="http://127.0.0.1:1/{id}.mp4")  # nobody answers there
    with pytest.raises(UserError, match="network seems to be down"):
        download([Segment(f"{k:011d}", 0, 3) for k in range(9)], tmp_path, take)


@pytest.mark.parametrize(
    ("message", "reason"),
    [("ERROR: [youtube] 0a1B2c3D4e5: Private video. Use --cookies", "Private video"), ("ERROR: \n", "OSError")],
)
def test_a_reason_is_what_yt_dlp_says_or_its_kind_of_error(message: str, reason: str) -> None:
    assert avspeech._reason(OSError(message)) == reason


def test_without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yt_dlp", reason="yt-dlp is not installed: pip install 'ds2f[download]'")
    monkeypatch.setattr(avspeech.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="apt install ffmpeg"):
        youtube()


def test_lists_as_spreadsheets_write_them(tmp_path: Path, segments: list[Segment]) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"\xef\xbb\xbf" + LIST.replace("\n", "\r\n").encode() + b"\r\n  \r\n,,,,\r\n")
    assert read_list(path) == segments


@pytest.mark.parametrize("line", ["0a1B2c3D4e5,nan,5", "0a1B2c3D4e5,0,inf", "0a1B2c3D4e5,-1,5", "0ä1B2c3D4e5,1,5"])
def test_numbers_that_cannot_be_are_no_segment(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.csv").write_text(line + "\n", "utf-8")
    with pytest.raises(UserError, match="line 1"):
        read_list(tmp_path / "list.csv")


def test_half_a_clip_is_never_seen_and_never_stays(tmp_path: Path, segments: list[Segment]) -> None:
    def killed(segment: Segment, target: Path) -> None:
        for name in (target.name, f"{target.stem}.f137.mp4"):  # as yt-dlp lays it beside
            (target.parent / name).write_bytes(b"half")
        assert list(scan(tmp_path, "video")) == []
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(segments, tmp_path, killed)
    assert download(segments, tmp_path, _Taker(a_B2="gone")) == Counts(0, 2, 1, 0)
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.name != "list.csv") == [".jsonl", ".mp4", ".mp4"]
    assert all(path.read_bytes() == b"clip" for path in tmp_path.glob("*.mp4"))


@pytest.mark.parametrize(
    "reason", ["ERROR: unable to write data: [Errno 28] No space left on device", "[Errno 30] Read-only file system"]
)
def test_a_full_disk_blames_no_video(tmp_path: Path, segments: list[Segment], reason: str) -> None:
    with pytest.raises(UserError, match="takes no more"):
        download(segments, tmp_path / "out", _Taker(a_B2=reason))
    assert not (tmp_path / "out" / STATE).exists()


def test_a_line_that_was_cut_does_not_swallow_the_next(tmp_path: Path, segments: list[Segment]) -> None:
    (tmp_path / STATE).write_text('{"clip": "x')
    assert download(segments, tmp_path, _Taker(a_B2="gone")).failed == 1
    assert download(segments, tmp_path, _Taker()) == Counts(2, 0, 0, 1)
