"""Manifests of a dataset for Kaldi and lhotse: where the speech of each recording was heard."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import av
import numpy as np

from ds2f.dataset import Dataset, manifests
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.types import SAMPLE_RATE
from helpers import PLAN, extracted, item_of, tone, wanting, write_audio


def _tracks(path: Path, count: int, layout: str) -> None:
    """Matroska with `count` tracks of one second each."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout=layout) for _ in range(count)]
        for stream in streams:
            samples = np.zeros((1, SAMPLE_RATE * stream.channels), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
            frame.sample_rate = SAMPLE_RATE
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def test_manifests_name_the_track_and_the_channel_that_were_heard(dataset: Dataset, tmp_path: Path) -> None:
    _tracks(tmp_path / "tracks.mka", 2, "mono")
    _tracks(tmp_path / "channels.wav", 1, "quad")
    _tracks(tmp_path / "stereo.wav", 1, "stereo")
    write_audio(tmp_path / "plain.wav", tone(1.0))
    names = ["channels.wav", "plain.wav", "stereo.wav", "tracks.mka"]
    dataset.add_items(
        tmp_path, "sound", [item_of(tmp_path / name, name) for name in names], SplitRule(val=0.0, test=0.0)
    )
    for job in wanting(dataset):
        store(dataset, job, extracted(), PLAN)
    heard = {
        "channels.wav": (0, "3 of 4"),
        "plain.wav": (0, "1 of 1"),
        "stereo.wav": (0, "mean of 2"),
        "tracks.mka": (1, "1 of 1"),
    }
    for name, (stream, channels) in heard.items():
        dataset.connection.execute(
            "UPDATE speech SET stream = ?, channels = ? WHERE video_id = (SELECT id FROM videos WHERE path = ?)",
            (stream, channels, name),
        )
    manifests.write(dataset, "kaldi", tmp_path / "kaldi")
    lines = (tmp_path / "kaldi" / "wav.scp").read_text().splitlines()
    commands = {name: next(line for line in lines if name in line).split(" ", 1)[1] for name in names}
    assert commands["plain.wav"] == str(tmp_path / "plain.wav")
    assert "-af 'pan=mono|c0=c2' " in commands["channels.wav"]
    assert "-map 0:1 -vn -ac 1 " in commands["tracks.mka"]
    assert " -vn -ac 1 " in commands["stereo.wav"]
    assert "-map" not in commands["stereo.wav"]
    manifests.write(dataset, "lhotse", tmp_path / "lhotse")
    with gzip.open(tmp_path / "lhotse" / "recordings.jsonl.gz", "rt") as file:
        sources = [entry["sources"][0] for entry in map(json.loads, file)]
    (command,) = [source["source"] for source in sources if source["type"] == "command"]
    assert "tracks.mka -map 0:1 -vn -f wav -" in command
    assert len([source for source in sources if source["type"] == "file"]) == 3
    with gzip.open(tmp_path / "lhotse" / "supervisions.jsonl.gz", "rt") as file:
        channels = {entry["speaker"].split("/")[-1]: entry["channel"] for entry in map(json.loads, file)}
    assert channels == {"channels.wav": 2, "plain.wav": 0, "stereo.wav": [0, 1], "tracks.mka": 0}


def test_names_that_kaldi_would_not_tell_apart_are_several_speakers(dataset: Dataset, tmp_path: Path) -> None:
    people = ["a/b", "a-b", "a b", "c"]
    for number, name in enumerate(people):
        write_audio(tmp_path / f"{number}.wav", tone(1.0))
        dataset.add_items(tmp_path, "sound", [item_of(tmp_path / f"{number}.wav", name)], SplitRule(val=0.0, test=0.0))
    for job in wanting(dataset):
        store(dataset, job, extracted(), PLAN)
    out = tmp_path / "kaldi"
    manifests.write(dataset, "kaldi", out)
    speakers = [line.split()[1] for line in (out / "utt2spk").read_text().splitlines()]
    assert len(set(speakers)) == len(people)
    assert {"folder-a-b", "folder-c"} < set(speakers)
    assert manifests.without(out, "folder/a-b") == 1, "who is forgotten takes nobody along"
    assert len((out / "spk2utt").read_text().splitlines()) == len(people) - 1
