"""Manifests of Kaldi and lhotse, in and out."""

from __future__ import annotations

import contextlib
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ds2f.cli import main
from ds2f.corpora.manifests import open_scan
from ds2f.corpora.scan import scan
from ds2f.dataset import Dataset, manifests
from ds2f.dataset.export import export_manifest
from ds2f.dataset.forget import find, forget
from ds2f.dataset.ingest import enter
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.types import CorpusItem, Part
from helpers import PLAN, extracted, wanting


def sounds(folder: Path, *names: str, seconds: float = 2.0, channels: int = 1) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros((round(seconds * 16000), channels), np.float32), 16000)
    return paths


def read(root: Path, kind: str | None = "sound") -> tuple[dict[str, CorpusItem], list[str]]:
    scan = open_scan(root, kind, None)
    return {item.path: item for item in scan.items()}, scan.warnings


def lines(path: Path, *entries: dict[str, Any] | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join((entry if isinstance(entry, str) else json.dumps(entry)) + "\n" for entry in entries)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def test_a_kaldi_folder(tmp_path: Path) -> None:
    one, two, long = sounds(tmp_path / "audio", "one.wav", "deep/two.flac", "long.wav", seconds=9)
    data = tmp_path / "data"
    lines(data / "wav.scp", f"s1-a {one}", f"s2-b flac -c -d -s {two} |", f"long sph2pipe -f wav -c 2 {long} |")
    lines(data / "utt2spk", "s1-a s1", "s2-b s2", "s3-1 s3", "s3-2 s3", "s4-1 s4")
    lines(data / "spk2gender", "s1 f", "s3 m")
    lines(data / "utt2lang", "s1-a English", "s2-b ur")
    found, warnings = read(data)
    assert {path: item.identity for path, item in found.items()} == {
        "one.wav": "s1",
        "deep/two.flac": "s2",
        "long.wav#channel=2": "long",
    }
    assert found["one.wav"].labels == (("gender", "female"), ("language", "en"))
    assert found["deep/two.flac"].labels == (("language", "ur"),)
    assert {item.scope for item in found.values()} == {str(data)}
    assert warnings == [f"{data} names no speaker of 1 sounds; each of them counts as a person."]
    parts = ("s3-1 long 0.5 3.25", "s4-1 long 4 -1", "s3-2 long 5 9.5", "s3-3 long 3 3", "s1-a nowhere 0 1")
    lines(data / "segments", *parts)
    lines(data / "reco2dur", "long 9.0")
    found, warnings = read(data)
    assert {path: (item.identity, item.part) for path, item in found.items()} == {
        "long.wav#t=0.5,3.25&channel=2": ("s3", Part(0.5, 2.75, 2)),
        "long.wav#t=4,9&channel=2": ("s4", Part(4.0, 5.0, 2)),
    }
    assert warnings == [
        f"{data} names 1 sounds that are not there, such as s1-a (of the recording nowhere); they were left out.",
        f"{data} names 2 parts outside of their sound, such as s3-2 (5 to 9.5 s of 9 s), s3-3 (3 to 3 s of 9 s); "
        "they were left out.",
    ]
    (data / "reco2dur").unlink()
    found, warnings = read(data)
    assert set(found) == {"long.wav#t=0.5,3.25&channel=2", "long.wav#t=5,9.5&channel=2"}
    assert "such as s4-1 (4 s to the end, which reco2dur does not tell)" in warnings[1]


def test_commands_are_never_run_and_only_those_that_decode_are_read(tmp_path: Path) -> None:
    (one,) = sounds(tmp_path, "one.wav")
    lines(
        tmp_path / "wav.scp",
        f"good ffmpeg -v error -i {one} -ac 1 -f wav - |",
        f"cut ffmpeg -ss 3 -i {one} -f wav - |",
        f"fast sox {one} -t wav - speed 1.1 |",
        f"run touch {tmp_path / 'touched'} |",
        f"two sox {one} {one} -t wav - |",
        f"chain sox {one} -t wav - | tee {tmp_path / 'touched'} |",
        f"part sph2pipe -f wav -t 0:3 {one} |",
        f"other ffmpeg -i {one} -map 0:2 -f wav - |",
        f"slow ffmpeg -i {one} -filter:a:0 atempo=2 -f wav - |",
        f"louder ffmpeg -i {one} -af volume=2 -f wav - |",
    )
    found, warnings = read(tmp_path)
    assert [item.identity for item in found.values()] == ["good"]
    assert "9 entries that are no file and no command that only decodes one" in warnings[0]
    assert not (tmp_path / "touched").exists()


def test_the_two_sides_of_a_call_are_two_people(tmp_path: Path) -> None:
    (call,) = sounds(tmp_path, "call.wav")
    lines(
        tmp_path / "wav.scp",
        f"A-call ffmpeg -nostdin -i {call} -map_channel 0.0.0 -f wav - |",
        f"B-call ffmpeg -i {call} -af 'pan=mono|c0=c1' -ar 16000 -f wav - |",
    )
    found, _ = read(tmp_path)
    assert {path: item.identity for path, item in found.items()} == {
        "call.wav#channel=1": "A-call",
        "call.wav#channel=2": "B-call",
    }


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("wav.scp", "u {0}\nu {1}", "wav.scp has 'u' twice"),
        ("utt2spk", "u ann\nu bob", "utt2spk has 'u' twice, as 'ann' and as 'bob'"),
        ("segments", "u r 0 1\nu r 1 2", "segments has 'u' twice"),
        ("segments", "u r nan 1", "an utterance 'u' whose times are not numbers"),
        ("segments", "u r 0 inf", "an utterance 'u' whose times are not numbers"),
    ],
)
def test_a_kaldi_folder_that_cannot_be_meant(tmp_path: Path, name: str, content: str, reason: str) -> None:
    one, two = sounds(tmp_path, "one.wav", "two.wav")
    lines(tmp_path / "wav.scp", f"r {one}", f"r {one}", f"u {one}")
    lines(tmp_path / name, *content.format(one, two).split("\n"))
    with pytest.raises(UserError, match=reason):
        read(tmp_path)


def recording(name: str, path: Path, seconds: float = 2.0, channels: int = 1) -> dict[str, Any]:
    source = {"type": "file", "channels": list(range(channels)), "source": str(path)}
    return {
        "id": name,
        "sources": [source],
        "sampling_rate": 16000,
        "num_samples": int(16000 * seconds),
        "duration": seconds,
    }


def supervision(
    name: str, recording: str, speaker: str, start: float = 0.0, seconds: float = 2.0, **more: Any
) -> dict[str, Any]:
    return {
        "id": name,
        "recording_id": recording,
        "start": start,
        "duration": seconds,
        "channel": 0,
        "speaker": speaker,
        **more,
    }


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_lhotse_manifests(tmp_path: Path, suffix: str) -> None:
    a, b, call = sounds(tmp_path / "audio", "a.wav", "b.wav", "call.wav", channels=2)
    vox = sounds(tmp_path / "audio", "id10001/0a1B2c3D4e5/00001.wav")[0]
    lines(
        tmp_path / f"my_recordings_dev{suffix}",
        *(recording("a", a), recording("b", b), recording("call", call, channels=2), recording("v", vox)),
        recording("gone", tmp_path / "gone.wav"),
    )
    lines(
        tmp_path / f"my_supervisions_dev{suffix}",
        supervision("1", "a", "ann", gender="Female", language="English"),
        supervision("2", "b", "bob", 0.25, 1.5),
        supervision("3", "call", "ann"),
        supervision("4", "call", "bob", channel=1),
        supervision("5", "v", "id10001"),
        supervision("6", "gone", "cyd"),
        supervision("7", "b", "bob", 1.0, 1.5),
        supervision("8", "a", "bob"),
    )
    for root in (tmp_path, tmp_path / f"my_recordings_dev{suffix}"):
        found, warnings = read(root)
        assert {path: (item.corpus, item.identity) for path, item in found.items()} == {
            "a.wav": ("lhotse", "ann"),
            "b.wav#t=0.25,1.75": ("lhotse", "bob"),
            "call.wav#channel=1": ("lhotse", "ann"),
            "call.wav#channel=2": ("lhotse", "bob"),
            "id10001/0a1B2c3D4e5/00001.wav": ("voxceleb", "id10001"),
        }
        assert found["a.wav"].labels == (("gender", "female"), ("language", "en"))
        assert [warning.split(" names ")[1].split(",")[0] for warning in warnings] == [
            "1 sounds that are not there",
            "1 parts outside of their sound",
            "1 people in sounds that are somebody else's already",
        ]


@pytest.mark.parametrize(
    ("transforms", "taken"),
    [
        (["Resample"], True),
        (["Volume", "Resample"], True),
        (["Speed"], False),
        (["Resample", "ReverbWithImpulseResponse"], False),
    ],
)
def test_recordings_that_lhotse_changes_are_left_out(tmp_path: Path, transforms: list[str], taken: bool) -> None:
    """perturb_speed(1.1) moves 1.1 s of the file to 1.0 s of the recording: of the file, that is somebody else's."""
    (a,) = sounds(tmp_path / "audio", "a.wav")
    changed = {**recording("b", a), "transforms": [{"name": name, "kwargs": {}} for name in transforms]}
    lines(tmp_path / "recordings.jsonl", recording("a", a), changed)
    lines(tmp_path / "supervisions.jsonl", supervision("1", "a", "ann"), supervision("2", "b", "bob", 1.0, 0.5))
    found, warnings = read(tmp_path)
    assert ("a.wav#t=1,1.5" in found) == taken
    assert [f"2 ({', '.join(transforms)})" in warning for warning in warnings] == ([] if taken else [True])


@pytest.mark.parametrize(
    ("recordings", "supervisions", "reason"),
    [
        ("no JSON", "", "Line 1 of .*recordings.jsonl is not JSON"),
        ('{"id": "a"}', "", "lacks one of id, sources, duration"),
        (None, '{"id": "1", "recording_id": "a", "start": "x", "duration": 1}', "whose times are not numbers"),
        (None, '{"id": "1", "recording_id": "a", "start": NaN, "duration": 1}', "whose times are not numbers"),
        (
            '{"id": "a", "sources": [], "duration": 1}\n{"id": "a", "sources": [], "duration": 2}',
            "",
            "two recordings 'a'",
        ),
        (None, '{"id": "1", "recording_id": "b", "start": 0, "duration": 1}', "names no sound that exists"),
    ],
)
def test_manifests_that_cannot_be_used(tmp_path: Path, recordings: str | None, supervisions: str, reason: str) -> None:
    (a,) = sounds(tmp_path, "a.wav")
    lines(tmp_path / "recordings.jsonl", recordings if recordings is not None else recording("a", a))
    lines(tmp_path / "supervisions.jsonl", supervisions)
    with pytest.raises(UserError, match=reason):
        read(tmp_path)
    (tmp_path / "supervisions.jsonl").unlink()
    with pytest.raises(UserError, match=r"recordings\.jsonl"):
        read(tmp_path)


@pytest.fixture
def spoken(dataset: Dataset, tmp_path: Path) -> Dataset:
    """Three sounds of two people, one of them a channel and a part of a file of two channels."""
    sounds(tmp_path / "in", "id10001/0a1B2c3D4e5/00001.wav", "id10002/0a1B2c3D4e5/00001.flac")
    sounds(tmp_path / "in", "id10002/0a1B2c3D4e5/00002.wav", channels=2, seconds=4)
    part = Part(0.5, 2.0, 2)
    items = [replace(item, labels=(("language", "en"),)) for item in scan(tmp_path / "in", "sound")]
    items[0] = replace(items[0], labels=(("gender", "female"),))
    items[2] = replace(items[2], path=items[2].path + part.fragment, part=part)
    enter(dataset, tmp_path / "in", "sound", items, SplitRule())
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, replace(extracted(number), face=None), PLAN)
    return dataset


@pytest.mark.parametrize("form", ["lhotse", "kaldi"])
def test_what_is_written_is_read_again(spoken: Dataset, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    assert export_manifest(spoken, form, out) == (3, 0)
    found, warnings = read(out)
    assert warnings == []
    speakers = {"lhotse": ("voxceleb/id10001", "voxceleb/id10002"), "kaldi": ("voxceleb-id10001", "voxceleb-id10002")}[
        form
    ]
    whole, other = "id10001/0a1B2c3D4e5/00001.wav", "id10002/0a1B2c3D4e5/00001.flac"
    if form == "kaldi":  # with one part in it, all are parts
        whole, other = whole + "#t=0,2", other + "#t=0,2"
    assert {path: item.identity for path, item in found.items()} == {
        whole: speakers[0],
        other: speakers[1],
        "id10002/0a1B2c3D4e5/00002.wav#t=0.5,2.5&channel=2": speakers[1],
    }
    assert found[whole].labels == (("gender", "female"),)
    assert found[other].labels == (("language", "en"),)
    assert export_manifest(spoken, form, out) == (3, 0)
    (out / "mine.txt").touch()
    with pytest.raises(UserError, match=r"holds other things, such as mine\.txt"):
        export_manifest(spoken, form, out)


@pytest.mark.parametrize("form", ["lhotse", "kaldi"])
def test_forgetting_reaches_manifests(spoken: Dataset, tmp_path: Path, form: str) -> None:
    export_manifest(spoken, form, tmp_path / "out")
    assert _forget(spoken, tmp_path) == 2
    found, _ = read(tmp_path / "out")
    assert [item.identity.replace("-", "/") for item in found.values()] == ["voxceleb/id10001"]


def _forget(spoken: Dataset, tmp_path: Path) -> int:
    """Forget id10002, who is then in no file of the manifest. Returns how many records were removed."""
    person = find(spoken, "id10002")
    assert person is not None
    records = forget(spoken, person, tmp_path / "faces", keep_files=True).records
    for file in (tmp_path / "out").iterdir():
        text = gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text()
        assert "id10002" not in text, file.name
    return records


@pytest.mark.parametrize("written", [0, 1, 2])
@pytest.mark.parametrize("earlier", [None, "lhotse", "kaldi"])
@pytest.mark.parametrize("form", ["lhotse", "kaldi"])
def test_forgetting_reaches_a_manifest_that_was_killed(
    spoken: Dataset, tmp_path: Path, form: str, earlier: str | None, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `written` of its files, whether or not it replaces an earlier one of either format."""
    out, write = tmp_path / "out", {"lhotse": "_write_gz", "kaldi": "_write_text"}[form]
    if earlier:
        export_manifest(spoken, earlier, out)
    write_one, done = getattr(manifests, write), 0

    def killed(path: Path, content: Any) -> None:
        nonlocal done
        if done == written:
            path.with_name(f"{path.name}.part").write_text("id10002 as far as it went")
            raise KeyboardInterrupt
        done += 1
        write_one(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(manifests, write, killed)
        with contextlib.suppress(KeyboardInterrupt):
            export_manifest(spoken, form, out)
    _forget(spoken, tmp_path)
    assert export_manifest(spoken, form, out) == (1, 0)
    assert {file.name for file in out.iterdir()} <= {*manifests.FILES[form], "README.json"}


@pytest.mark.parametrize("left", manifests.FILES["kaldi"] + manifests.FILES["lhotse"])
@pytest.mark.parametrize("said", ["lhotse", "kaldi"])
def test_forgetting_reaches_each_file_by_itself(spoken: Dataset, tmp_path: Path, said: str, left: str) -> None:
    """As a killed run of an earlier version may have left it, next to a README.json that may state the other format."""
    export_manifest(spoken, "kaldi" if left in manifests.FILES["kaldi"] else "lhotse", tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        if file.name not in (left, "README.json"):
            file.unlink()
    readme = tmp_path / "out" / "README.json"
    readme.write_text(json.dumps({**json.loads(readme.read_text()), "format": said}))
    _forget(spoken, tmp_path)


def test_the_command_line_reads_and_writes_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = sounds(tmp_path / "audio", "one.wav", "two.wav")
    lines(tmp_path / "data" / "wav.scp", f"u1 {one}", f"u2 {two}", f"u3 {tmp_path / 'gone.wav'}")
    lines(tmp_path / "data" / "utt2spk", "u1 ann", "u2 ann")
    database = ["--database", str(tmp_path / "d.db")]
    assert main(["ingest", str(tmp_path / "data"), *database]) == 0
    said = capsys.readouterr()
    assert "2 files, 2 new" in said.out
    assert "2 sounds for kaldi" in said.out
    assert "In total 1 person: 0 with voices and faces, 1 with voices only" in said.out
    assert "1 sounds that are not there" in said.err
    assert main(["export", "--format", "kaldi", "--out", str(tmp_path / "out"), *database]) == 2
    assert "no recordings to list" in capsys.readouterr().err


@pytest.mark.parametrize("said", ["x", "Frau", "0"])
def test_a_gender_that_is_none_is_told(tmp_path: Path, said: str) -> None:
    one, two = sounds(tmp_path / "audio", "one.wav", "two.wav")
    data = tmp_path / "data"
    lines(data / "wav.scp", f"a {one}", f"b {two}")
    lines(data / "utt2spk", "a s1", "b s2")
    lines(data / "spk2gender", f"s1 {said}", "s2 F")
    found, warnings = read(data)
    assert (found["one.wav"].labels, found["two.wav"].labels) == ((), (("gender", "female"),))
    why = f"has 1 values that are neither m nor f, such as {said!r} of 's1'; their speakers have no gender."
    assert warnings == [f"{data / 'spk2gender'} {why}"]
