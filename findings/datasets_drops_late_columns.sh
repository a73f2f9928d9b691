#!/usr/bin/env bash
# datasets 5.2 (Hugging Face): of a WebDataset, what the first five samples lack is dropped from all of them.
#
# A file that a sample does not have is no file in the tar: a clip without a face has no vector of one, a label that is not
# known is not in the JSON. load_dataset("webdataset") takes the first five samples of the first shard for the columns there
# are; a file or a key of the JSON that turns up later is left out, in that shard and all others, streamed or not, without
# a word. Of 12 samples of which the last six have a vector of a face and an age, none has either. In the other direction it is
# right: what the first five have and a later one lacks is None. The library webdataset gives each sample all that it
# has. features= with all columns spelt out is obeyed (so the vectors are there, and None before), or list a shard first
# in which the columns are full: then all of it is there. Whether training "with faces" had any is seen in column_names.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet datasets==5.2.0 webdataset==1.0.2 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/home" "$folder/venv/bin/python" - <<'PYTHON'
import io
import json
import sys
import tarfile

import datasets
import numpy as np
import webdataset
from datasets import Features, List, Value, load_dataset

datasets.disable_progress_bars()
print("datasets", datasets.__version__, "webdataset", webdataset.__version__)


def write(path, numbers):
    """Those of 6 and more have a face and an age."""
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            told = {"person": f"p{number}"} | ({"age": 30} if number >= 6 else {})
            files = {"json": json.dumps(told).encode()}
            for name in ("voice", "face")[: 1 + (number >= 6)]:
                memory = io.BytesIO()
                np.save(memory, np.full(4, number, np.float32))
                files[f"{name}.npy"] = memory.getvalue()
            for kind, data in files.items():
                entry = tarfile.TarInfo(f"{number:04}.{kind}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


write("all.tar", range(12))
write("early.tar", range(6))
write("late.tar", range(6, 12))
spelt = Features({
    "__key__": Value("string"), "__url__": Value("string"), "voice.npy": List(Value("float32")),
    "face.npy": List(Value("float32")), "json": {"person": Value("string"), "age": Value("int64")},
})


def count(samples):
    """Samples with a face, and with an age."""
    told = [s["json"] if isinstance(s["json"], dict) else json.loads(s["json"]) for s in samples]
    faces = sum(s.get("face.npy") is not None for s in samples)
    return len(samples), faces, sum(t.get("age") is not None for t in told)


def load(*shards, **more):
    return count(list(load_dataset("webdataset", data_files={"train": list(shards)}, split="train", **more)))


found = {
    "webdataset": count(list(webdataset.WebDataset("all.tar", shardshuffle=False))),
    "datasets, one shard": load("all.tar"),
    "datasets, one shard, streamed": load("all.tar", streaming=True),
    "datasets, two shards": load("early.tar", "late.tar"),
    "datasets, the full shard first": load("late.tar", "early.tar"),
    "datasets, features spelt out": load("all.tar", features=spelt),
}
for name, (samples, faces, ages) in found.items():
    print(f"{name:30} {samples} samples, {faces} with a face, {ages} with an age")
lost, kept = (12, 0, 0), (12, 6, 6)
if list(found.values()) != [kept, lost, lost, lost, kept, kept]:
    sys.exit("changed")
PYTHON
