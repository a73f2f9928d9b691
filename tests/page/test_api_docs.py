"""docs/api.md does what it says: its curl and Python are run against a server, as they stand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from PIL import Image

from ds2f.demo import samples
from ds2f.io.media import decode
from helpers import write_audio
from openapi_contract import Contract

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
ADDRESS = "http://127.0.0.1:7860"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_audio(tmp_path / "talk.wav", decode(samples() / "person-5.mp4", frames=0).audio)
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_curl_does_what_it_says(folder: Path, address: str) -> None:
    commands = blocks("sh")
    said = [
        subprocess.run(["bash", "-ec", command.replace(ADDRESS, address)], cwd=folder, capture_output=True, text=True)
        for command in commands
    ]
    assert [done.returncode for done in said] == [0] * len(commands), said
    with Image.open(folder / "face.png") as face:
        assert json.loads(face.info["ds2f"])["seed"] == 7
    assert [face["seed"] for face in json.loads((folder / "faces.json").read_text())["faces"]] == [0, 1]
    assert re.match(r'(\{"waiting": 0\}\n)?\{"step": 1, "of": \d', said[2].stdout), said[2].stdout
    assert '{"done": true, "faces"' in said[2].stdout
    assert json.loads((folder / "voice.json").read_text())["voice"]
    assert json.loads((folder / "checked.json").read_text())["made_by_ds2f"]


def test_the_program_does_what_it_says(folder: Path, address: str) -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program.replace(ADDRESS, address)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "'female': 0." in done.stdout
    assert "step 1 of 4: 2 previews" in done.stdout
    assert {path.name for path in folder.glob("face-*.png")} == {"face-7.png", "face-8.png"}


def test_every_path_and_status_is_told(contract: Contract, address: str) -> None:
    told = set(re.findall(r"`(?:GET |POST )?(/[a-z0-9./]+)`", PAGE.partition("## In a container")[0]))
    paths = {path.replace("{number}", "1") for path in contract.document["paths"]}
    assert paths <= told
    assert {path for path in told if requests.request("BREW", f"{address}{path}", timeout=120).status_code == 404} == {
        "/v1"
    }
    table = PAGE.partition("## Errors")[2].partition("## Limits")[0]
    statuses = {status for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for status in row.split(", ")}
    in_document = {
        status
        for methods in contract.document["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
    }
    assert statuses == in_document - {"200"} | {"405"}
    example = re.search(r'`(\{"status": 422.*?\})`', PAGE, re.DOTALL)
    answer = requests.post(f"{address}/v1/faces", files={"recording": b"?"}, data={"age": "101"}, timeout=300)
    assert answer.json() == json.loads(example[1].replace("\n", " "))
