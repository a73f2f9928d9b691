"""The server behind the page: answers, limits, and who may ask."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import torch
from PIL import Image

from ds2f import Speech2Face
from ds2f.demo import samples
from helpers import grey_ramp, silence, tiny_decoder, write_audio, write_video

pytest.importorskip("starlette", reason="the extra demo is not installed")

from starlette.requests import Request
from starlette.responses import Response

from ds2f.page import wanted
from ds2f.page.app import Page
from ds2f.page.guard import Busy, Gate, Limits, Refused, Uploads
from ds2f.speech2face.wishes import make_wish
from ds2f.types import Wish
from page_server import served

CLIP = samples() / "person-5.mp4"


@pytest.fixture(scope="module")
def voice(address: str) -> str:
    return str(requests.post(f"{address}/listen", data=CLIP.read_bytes(), timeout=60).json()["voice"])


def _lines(address: str, **asked: Any) -> list[dict[str, Any]]:
    answer = requests.post(f"{address}/faces", data=json.dumps(asked), timeout=60)
    return [json.loads(line) for line in answer.text.splitlines()]


def _error(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def _picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def test_the_page_is_three_files_of_its_own_and_no_other(address: str) -> None:
    for path, kind in (("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript")):
        answer = requests.get(f"{address}/{path}", timeout=10)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "://" not in answer.text, "nothing is loaded from elsewhere"
    for path in ("app.py", "..%2fcli.py", "../cli.py", "/etc/passwd", "samples/0", "samples/99", "samples/..%2fx"):
        request = requests.Request("GET", address).prepare()
        request.url = f"{address}/{path}"  # as it is, not tidied up
        assert requests.Session().send(request, timeout=10).status_code == 404


def test_a_recording_is_heard(address: str, voice: str) -> None:
    told = requests.post(f"{address}/listen", data=CLIP.read_bytes(), timeout=60).json()
    assert told["voice"] == voice
    assert np.frombuffer(base64.b64decode(voice), "<f4").shape == (512,)
    assert told["description"]["gender"]["probabilities"]["female"] > 0.5
    assert "ethnicity" not in json.dumps(told)
    sample = requests.get(f"{address}/samples/5", timeout=10).content
    assert sample == CLIP.read_bytes()


def test_faces_come_step_by_step_and_marked(address: str, voice: str, model: Speech2Face) -> None:
    *steps, last = _lines(address, voices=[voice], count=2, seed=7, steps=3)
    assert [(line["step"], line["of"], len(line["faces"])) for line in steps] == [(1, 3, 2), (2, 3, 2), (3, 3, 2)]
    assert [face["seed"] for face in last["faces"]] == [7, 8]
    pictures = [_picture(face["png"]) for face in last["faces"]]
    assert pictures[0].info["DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert json.loads(pictures[0].info["ds2f"])["seed"] == 7
    assert last["settings"]["steps"] == 3
    expected = model(CLIP, count=2, seed=7, steps=3)
    for picture, face in zip(pictures, expected, strict=True):
        assert np.abs(np.array(picture, int) - np.array(face.image, int)).max() <= 2


def test_two_voices_at_once(address: str, voice: str) -> None:
    other = requests.post(f"{address}/listen", data=(samples() / "person-1.mp4").read_bytes(), timeout=60).json()
    last = _lines(address, voices=[voice, other["voice"]], count=2, seed=1, steps=2, age=60, gender="female")[-1]
    assert [face["seed"] for face in last["faces"]] == [1, 2, 1, 2]
    assert len({face["png"] for face in last["faces"]}) == 4
    assert last["settings"]["age"] == 60


def test_what_cannot_be_heard_is_one_sentence(address: str, tmp_path: Path) -> None:
    recordings = {
        "empty": b"",
        "not a media file": b"Dear Sir or Madam",
        "silence": write_audio(tmp_path / "s.wav", silence(2)).read_bytes(),
        "without sound": write_video(tmp_path / "m.mp4", grey_ramp(5)).read_bytes(),
        "not a media": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    }
    for reason, data in recordings.items():
        sentence = _error(requests.post(f"{address}/listen", data=data, timeout=60), 422)
        assert reason in sentence.lower()
        assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ("no JSON", 400, "not what the page would ask"),
        pytest.param("[" * 100_000, 400, "not what the page would ask", id="deep"),
        ([], 400, "not what the page would ask"),
        ({"voices": []}, 400, "One voice is needed"),
        ({"voices": ["!"]}, 400, "not what the page would send"),
        ({"voices": ["AAAA"]}, 400, "This is no voice"),
        ({"count": 99}, 422, "count must be a number from 1 to 8"),
        ({"steps": "many"}, 422, "steps must be a number"),
        ({"seed": 1.5}, 422, "seed must be a whole number"),
        ({"age": 300}, 422, "age must be a number from 0 to 100"),
        ({"age": float("nan")}, 422, "age must be"),
        ({"gender": "martian"}, 422, "gender 'martian' is not known"),
        ({"gender": 3}, 400, "must be a name"),
        ({"guide": "data:image/png;base64,AAAA"}, 422, "guide picture cannot be used: not a picture"),
        ({"guide": ["!"]}, 400, "not what the page would send"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(address: str, voice: str, asked: Any, status: int, sentence: str) -> None:
    asked = {"voices": [voice], **asked} if isinstance(asked, dict) else asked
    data = asked if isinstance(asked, str) else json.dumps(asked)
    assert sentence in _error(requests.post(f"{address}/faces", data=data, timeout=60), status)


def test_other_pages_and_other_names_are_refused(address: str) -> None:
    for headers in ({"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "http://evil.example"}):
        assert "does not answer" in _error(requests.post(f"{address}/listen", headers=headers, timeout=10), 403)
    own = requests.get(f"{address}/about", headers={"Origin": address}, timeout=10)
    assert own.status_code == 200


def test_large_and_slow_uploads_are_refused(address: str, model: Speech2Face) -> None:
    large = bytes(2_100_000)
    assert "larger than 2 MB" in _error(requests.post(f"{address}/listen", data=large, timeout=30), 413)

    def drop_by_drop() -> Iterator[bytes]:
        for _ in range(5):
            yield b"drop"
            time.sleep(0.2)

    pieces = (large[start : start + 500_000] for start in range(0, len(large), 500_000))  # no length stated
    assert "larger than 2 MB" in _error(requests.post(f"{address}/listen", data=pieces, timeout=30), 413)
    with served(model, Limits(upload_seconds=0.5)) as slow:
        assert "longer than 0.5 s" in _error(requests.post(f"{slow}/listen", data=drop_by_drop(), timeout=30), 408)


def test_too_many_at_once_are_sent_away_and_the_page_goes_on(model: Speech2Face, voice: str) -> None:
    with served(model, Limits(places=2)) as url:
        answers: list[int] = []

        def one() -> None:
            asked = json.dumps({"voices": [voice], "count": 4, "steps": 10})
            answers.append(requests.post(f"{url}/faces", data=asked, timeout=120).status_code)

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers.count(503) >= 1
        assert answers.count(200) >= 2
        assert _lines(url, voices=[voice], count=1, steps=1)[-1]["done"]


def test_a_drawing_that_takes_too_long_or_that_nobody_waits_for_is_stopped(model: Speech2Face, voice: str) -> None:
    with served(model, Limits(job_seconds=0.0, places=1)) as url:
        assert "took more than 0 s" in _lines(url, voices=[voice], count=8, steps=50)[-1]["error"]
    with served(model, Limits(places=1, steps=1000)) as url:
        asked = json.dumps({"voices": [voice], "count": 8, "steps": 1000})
        with requests.post(f"{url}/faces", data=asked, timeout=60, stream=True) as answer:
            next(answer.iter_lines())
        deadline = time.monotonic() + 20  # a thousand steps would take longer
        while time.monotonic() < deadline:
            again = requests.post(
                f"{url}/faces", data=json.dumps({"voices": [voice], "count": 1, "steps": 1}), timeout=60
            )
            if again.status_code == 200:
                break
            time.sleep(0.2)
        assert again.status_code == 200


def test_a_guide_picture_reaches_a_model_that_knows_it(model: Speech2Face, voice: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(buffer, "PNG")
    guide = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    for every_condition in (True, False):
        decoder = tiny_decoder(every_condition=every_condition)
        taught = Speech2Face(model.prior, decoder, model.folder, torch.device("cpu"))
        with served(taught, Limits()) as url:
            assert requests.get(f"{url}/about", timeout=10).json()["guide"] is every_condition
            if every_condition:
                faces = [_lines(url, voices=[voice], count=1, steps=2, guide=g)[-1]["faces"] for g in (None, guide)]
                assert faces[0] != faces[1]
            else:
                answer = requests.post(f"{url}/faces", data=json.dumps({"voices": [voice], "guide": guide}), timeout=60)
                assert "not taught to follow a guide" in _error(answer, 422)


def test_a_guide_is_decoded_beside_the_event_loop_and_behind_the_gate(
    model: Speech2Face, voice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(model, Limits(places=1, guide_px=32))
    seen: list[tuple[str, int]] = []

    def wish(*given: Any, **named: Any) -> Wish:
        seen.append((threading.current_thread().name, page.gate._places._value))
        return make_wish(*given, **named)

    monkeypatch.setattr(wanted, "make_wish", wish)
    buffer = io.BytesIO()
    Image.new("RGB", (100, 50), "teal").save(buffer, "PNG")
    data = json.dumps({"voices": [voice], "guide": base64.b64encode(buffer.getvalue()).decode()}).encode()

    async def ask() -> Response:
        return await page.faces(_request(data))

    page.gate.enter()
    with pytest.raises(Busy):
        asyncio.run(ask())
    assert not seen, "nobody looks at a picture that waits outside"
    page.gate.leave()
    asked: list[Any] = []
    monkeypatch.setattr(page, "_work", lambda wanted, say, gone: asked.append(wanted))
    asyncio.run(ask())
    ((thread, places),) = seen
    assert thread != threading.main_thread().name
    assert places == 0
    assert asked[0].wish.guide.shape == (16, 32, 3)


def test_bodies_in_memory_are_bounded_all_together() -> None:
    uploads = Uploads(Limits(upload_mb=1.0, memory_mb=1.5))

    async def ask() -> None:
        async with uploads.body(_request(bytes(900_000))) as first:
            assert (len(first), uploads.held) == (900_000, 900_000)
            with pytest.raises(Busy):
                async with uploads.body(_request(bytes(900_000))):
                    pass
            async with uploads.body(_request(bytes(500_000))):
                assert uploads.held == 1_400_000
        assert uploads.held == 0
        with pytest.raises(Refused, match="larger than 1 MB"):
            async with uploads.body(_request(bytes(1_100_000))):
                pass
        assert uploads.held == 0

    asyncio.run(ask())


def _request(data: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    return Request({"type": "http", "method": "POST", "path": "/faces", "headers": []}, receive)


def test_places_are_given_back() -> None:
    gate = Gate(1)
    gate.enter()
    with pytest.raises(Exception, match="Too many are waiting"):
        gate.enter()
    gate.leave()
    gate.enter()
