"""The server behind the page: answers, limits, and who may ask."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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

from ds2f.config import Serve
from ds2f.page import drawing, wanted
from ds2f.page.app import Answers
from ds2f.page.refused import Refused
from ds2f.speech2face.wishes import make_wish
from ds2f.types import Wish
from page_server import served

CLIP = samples() / "person-5.mp4"


@pytest.fixture(scope="module")
def voice(address: str) -> str:
    return str(requests.post(f"{address}/v1/voices", data=CLIP.read_bytes(), timeout=300).json()["voice"])


def _lines(address: str, **asked: Any) -> list[dict[str, Any]]:
    headers = {"Accept": "application/x-ndjson"}
    answer = requests.post(f"{address}/v1/faces", data=json.dumps(asked), headers=headers, timeout=300)
    return [json.loads(line) for line in answer.text.splitlines()]


def _error(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def _picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def test_the_page_is_a_few_files_of_its_own_and_no_other(address: str) -> None:
    scripts = [(f"{name}.js", "text/javascript") for name in ("ask", "check", "page", "voices")]
    for path, kind in (("", "text/html"), ("page.css", "text/css"), *scripts):
        answer = requests.get(f"{address}/{path}", timeout=120)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "://" not in answer.text, "nothing is loaded from elsewhere"
    for path in ("app.py", "..%2fcli.py", "../cli.py", "/etc/passwd", "samples/0", "samples/99", "samples/..%2fx"):
        request = requests.Request("GET", address).prepare()
        request.url = f"{address}/{path}"  # as it is, not tidied up
        assert requests.Session().send(request, timeout=120).status_code == 404


def test_a_recording_is_heard(address: str, voice: str) -> None:
    told = requests.post(f"{address}/v1/voices", data=CLIP.read_bytes(), timeout=300).json()
    assert told["voice"] == voice
    assert np.frombuffer(base64.b64decode(voice), "<f4").shape == (512,)
    assert told["description"]["gender"]["probabilities"]["female"] > 0.5
    assert "ethnicity" not in json.dumps(told)
    sample = requests.get(f"{address}/v1/samples/5", timeout=120).content
    assert sample == CLIP.read_bytes()


def test_faces_come_step_by_step_and_marked(address: str, voice: str, model: Speech2Face) -> None:
    first, *steps, last = _lines(address, voices=[voice], count=2, seed=7, steps=3)
    assert first == {"waiting": 0}
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
    other = requests.post(f"{address}/v1/voices", data=(samples() / "person-1.mp4").read_bytes(), timeout=300).json()
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
        sentence = _error(requests.post(f"{address}/v1/voices", data=data, timeout=300), 422)
        assert reason in sentence.lower()
        assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ("{no JSON", 400, "not JSON"),
        pytest.param('{"voices":' + "[" * 100_000, 400, "not JSON", id="deep"),
        ({"voices": []}, 422, "one or two voices"),
        ({"voices": ["!"]}, 422, "must be text in base64"),
        ({"voices": ["AAAA"]}, 422, "This is no voice"),
        ({"count": 99}, 422, "count must be a number from 1 to 8"),
        ({"count": 1.5}, 422, "count must be a whole number"),
        ({"cuont": 2}, 422, "no 'cuont' to be wished for, only voices, count"),
        ({"steps": "many"}, 422, "steps must be a number"),
        ({"fast": "perhaps"}, 422, "fast must be true or false"),
        ({"seed": 1.5}, 422, "seed must be a whole number"),
        ({"age": 300}, 422, "age must be a number from 0 to 100"),
        ({"age": float("nan")}, 422, "age must be"),
        ({"gender": "martian"}, 422, "gender 'martian' is not known"),
        ({"gender": 3}, 422, "must be a name"),
        ({"guide": "data:image/png;base64,AAAA"}, 422, "guide picture cannot be used: not a picture"),
        ({"guide": ["!"]}, 422, "must be text in base64"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(address: str, voice: str, asked: Any, status: int, sentence: str) -> None:
    asked = {"voices": [voice], **asked} if isinstance(asked, dict) else asked
    data = asked if isinstance(asked, str) else json.dumps(asked)
    json_like = {"Content-Type": "application/json"}
    assert sentence in _error(requests.post(f"{address}/v1/faces", data=data, headers=json_like, timeout=300), status)


def test_a_recording_becomes_a_face_in_one_call(address: str, model: Speech2Face) -> None:
    """As the body or as a form, and in any of the kinds; the same face as Python draws."""
    expected = np.array(model(CLIP, count=1, seed=3)[0].image, int)
    form = {"files": {"recording": CLIP.open("rb")}, "data": {"seed": "3", "count": "1"}}
    body = {"data": CLIP.read_bytes(), "params": {"seed": 3, "count": 1}}
    for sent, accept in ((form, "*/*"), (body, "image/*;q=0.9, text/html"), (body, "application/x-ndjson")):
        answer = requests.post(f"{address}/v1/faces", headers={"Accept": accept}, timeout=300, **sent)
        assert answer.status_code == 200, answer.text
        if accept.startswith("image"):
            picture = Image.open(io.BytesIO(answer.content))
            assert "imagined-seed-3.png" in answer.headers["content-disposition"]
        else:
            picture = _picture(json.loads(answer.text.splitlines()[-1])["faces"][0]["png"])
        assert json.loads(picture.info["ds2f"])["seed"] == 3
        assert np.abs(np.array(picture, int) - expected).max() <= 2


def test_two_recordings_and_wishes_in_a_form(address: str) -> None:
    files = [("recording", CLIP.open("rb")), ("recording", (samples() / "person-1.mp4").open("rb"))]
    wishes = {"count": "2", "age": "60", "gender": "female", "fast": "false", "steps": "2", "variety": "0.5"}
    told = requests.post(f"{address}/v1/faces", files=files, data=wishes, timeout=300).json()
    assert len({face["png"] for face in told["faces"]}) == 4
    assert (told["settings"]["age"], told["settings"]["steps"], told["settings"]["fast"]) == (60, 2, False)


def test_what_cannot_be_sent_is_one_sentence(address: str, voice: str) -> None:
    clip = CLIP.read_bytes()

    def refused(status: int, path: str = "faces", accept: str = "*/*", **sent: Any) -> str:
        headers = {"Accept": accept, **sent.pop("headers", {})}
        return _error(requests.post(f"{address}/v1/{path}", headers=headers, timeout=300, **sent), status)

    assert "no field 'file' for a file, only recording, guide" in refused(422, files={"file": clip})
    assert "Of recording there may be 2" in refused(422, files=[("recording", clip)] * 3)
    assert "not both" in refused(422, files={"recording": clip}, data={"voices": voice})
    assert "A recording is needed" in refused(422, files={"guide": clip})
    assert "the field recording" in refused(422, "voices", files={"recording": None, "x": (None, "y")})
    assert "empty" in refused(422)
    assert "one face" in refused(422, accept="image/png", data=clip, params={"count": 2})
    assert "image/png" in refused(406, accept="text/html")
    form = {"Content-Type": "multipart/form-data"}
    assert "form cannot be read" in refused(400, data=b"--x", headers=form)
    assert "Not a media file" in refused(422, data=b"Dear Sir or Madam", accept="image/png")
    assert requests.get(f"{address}/v1/faces", timeout=120).headers["allow"] == "POST"
    assert "only POST" in requests.get(f"{address}/v1/faces", timeout=120).json()["error"]
    assert "/openapi.json" in _error(requests.get(f"{address}/v2/faces", timeout=120), 404)


def test_a_picture_is_checked(address: str) -> None:
    one = {"count": 1, "seed": 5}
    drawn = requests.post(
        f"{address}/v1/faces", data=CLIP.read_bytes(), params=one, headers={"Accept": "image/png"}, timeout=300
    ).content
    plain = io.BytesIO()
    Image.new("RGB", (80, 80), "teal").save(plain, "PNG")
    for sent in ({"data": drawn}, {"files": {"picture": drawn}}):
        told = requests.post(f"{address}/v1/check", timeout=300, **sent).json()
        assert told["made_by_ds2f"]
        assert "xmp" in told["layers"]
        assert told["xmp"]["details"]["seed"] == 5
        assert len(told["sentences"]) >= 2
    told = requests.post(f"{address}/v1/check", data=plain.getvalue(), timeout=300).json()
    assert not told["made_by_ds2f"]
    assert "says nothing" in told["verdict"]
    assert "ot a picture" in _error(requests.post(f"{address}/v1/check", data=b"?", timeout=300), 422)
    assert "no field 'image'" in _error(requests.post(f"{address}/v1/check", files={"image": drawn}, timeout=300), 422)
    assert "A picture is needed" in _error(requests.post(f"{address}/v1/check", data="{}", timeout=300), 422)


def test_a_fault_of_the_server_is_a_sentence_too(model: Speech2Face, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(model, Serve()) as url:
        monkeypatch.setattr(Speech2Face, "encode_voice", lambda *given: 1 / 0)
        for accept in ("application/json", "application/x-ndjson"):
            headers = {"Accept": accept}
            answer = requests.post(f"{url}/v1/faces", data=CLIP.read_bytes(), headers=headers, timeout=300)
            assert "the fault is the server's" in json.loads(answer.text.splitlines()[-1])["error"]
        assert requests.get(f"{url}/healthz", timeout=120).json()["ready"]


def test_other_pages_and_other_names_are_refused(address: str) -> None:
    for headers in ({"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "http://evil.example"}):
        assert "does not answer" in _error(requests.post(f"{address}/v1/voices", headers=headers, timeout=120), 403)
    assert "--allow-host" in _error(
        requests.get(f"{address}/metrics", headers={"Host": "evil.example"}, timeout=120), 403
    )
    own = requests.get(f"{address}/v1/model", headers={"Origin": address}, timeout=120)
    assert own.status_code == 200


def test_large_and_slow_uploads_are_refused(address: str, model: Speech2Face) -> None:
    large = bytes(2_100_000)
    assert "larger than 2 MB" in _error(requests.post(f"{address}/v1/voices", data=large, timeout=120), 413)

    def drop_by_drop() -> Iterator[bytes]:
        for _ in range(5):
            yield b"drop"
            time.sleep(0.2)

    pieces = (large[start : start + 500_000] for start in range(0, len(large), 500_000))  # no length stated
    assert "larger than 2 MB" in _error(requests.post(f"{address}/v1/voices", data=pieces, timeout=120), 413)
    with served(model, Serve(upload_seconds=0.5)) as slow:
        assert "longer than 0.5 s" in _error(requests.post(f"{slow}/v1/voices", data=drop_by_drop(), timeout=120), 408)


def test_too_many_at_once_are_told_when_to_come_back(model: Speech2Face, voice: str) -> None:
    with served(model, Serve(places=2)) as url:
        answers: list[requests.Response] = []
        asked = json.dumps({"voices": [voice], "count": 4, "steps": 10})

        def one() -> None:
            answers.append(requests.post(f"{url}/v1/faces", data=asked, timeout=120))

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sent_away = [answer for answer in answers if answer.status_code != 200]
        assert {answer.status_code for answer in sent_away} == {503}
        assert len(answers) - len(sent_away) >= 2
        for answer in sent_away:
            assert f"again in {answer.headers['retry-after']} s" in answer.json()["error"]
            assert 1 <= int(answer.headers["retry-after"]) <= 300
        assert _lines(url, voices=[voice], count=1, steps=1)[-1]["done"]
        refused = re.search(r'^ds2f_refused_total{status="503"} (.*)$', _metrics(url), re.MULTILINE)
        assert float(refused[1]) == len(sent_away)


def _metrics(url: str) -> str:
    return requests.get(f"{url}/metrics", timeout=120).text


def test_what_the_server_counts(model: Speech2Face) -> None:
    with served(model, Serve()) as url:
        requests.post(f"{url}/v1/faces", data=CLIP.read_bytes(), params={"count": 3}, timeout=300)
        requests.post(f"{url}/v1/faces", data=b"?", timeout=300)
        requests.get(f"{url}/v1/samples/2", timeout=120)
        requests.get(f"{url}/v1/samples/99", timeout=120)
        requests.request("BREW", f"{url}/coffee", timeout=120)
        told = _metrics(url)
    values = {
        name: float(value) for name, value in (line.rsplit(" ", 1) for line in told.splitlines() if line[0] != "#")
    }

    def count(method: str, route: str, status: int) -> float:
        return values[f'ds2f_requests_total{{method="{method}",route="{route}",status="{status}"}}']

    assert count("POST", "/v1/faces", 200) == count("POST", "/v1/faces", 422) == 1
    assert count("GET", "/v1/samples/{number:int}", 200) == count("GET", "/v1/samples/{number:int}", 404) == 1
    assert count("other", "other", 404) == 1
    assert values["ds2f_faces_total"] == 3
    assert values["ds2f_work_seconds_count"] == values["ds2f_wait_seconds_count"] == 2
    assert 0 < values["ds2f_work_seconds_sum"] < values['ds2f_request_seconds_sum{route="/v1/faces"}'] + 0.1
    assert values["ds2f_waiting"] == values["ds2f_working_seconds"] == 0
    assert values["process_resident_memory_bytes"] > 1e8
    assert "127.0.0.1" not in told, "nobody's address"


def test_health_says_whether_it_is_alive_and_has_a_place(model: Speech2Face, voice: str) -> None:
    with served(model, Serve(places=1, steps=1000, job_seconds=600)) as url:
        assert requests.get(f"{url}/healthz", timeout=120).json() == {"live": True, "ready": True, "waiting": 0}
        with _a_long_drawing(url, voice):
            full = requests.get(f"{url}/healthz/ready", timeout=120)
            assert (full.status_code, full.json()["ready"]) == (503, False)
            assert requests.get(f"{url}/healthz/live", timeout=120).status_code == 200
            assert _working_seconds(url) > 0


@contextmanager
def _a_long_drawing(url: str, voice: str) -> Iterator[Iterator[dict[str, Any]]]:
    """One that has begun, and its lines; hangs up at the end."""
    asked = json.dumps({"voices": [voice], "count": 8, "steps": 1000})
    headers = {"Accept": "application/x-ndjson"}
    with requests.post(f"{url}/v1/faces", data=asked, headers=headers, timeout=300, stream=True) as answer:
        lines = map(json.loads, answer.iter_lines())
        assert any("step" in line for line in lines)
        yield lines


def test_a_drawing_that_takes_too_long_or_that_nobody_waits_for_is_stopped(model: Speech2Face, voice: str) -> None:
    with served(model, Serve(job_seconds=0.0, places=1)) as url:
        assert "took more than 0 s" in _lines(url, voices=[voice], count=8, steps=50)[-1]["error"]
        answer = requests.post(f"{url}/v1/faces", data=json.dumps({"voices": [voice]}), timeout=300)
        assert "took more than 0 s" in _error(answer, 422)
    with served(model, Serve(places=1, steps=1000)) as url:
        with _a_long_drawing(url, voice):
            pass
        _comes_to_rest(url)  # a thousand steps would take longer
        assert _lines(url, voices=[voice], count=1, steps=1)[-1]["done"]


def _working_seconds(url: str) -> float:
    """For how long the drawing that is at work has been; 0 for none. A text with 0.0 in it may be one of 0.04 s."""
    return float(re.findall(r"^ds2f_working_seconds (\S+)$", _metrics(url), re.MULTILINE)[0])


def _comes_to_rest(url: str) -> None:
    deadline = time.monotonic() + 120
    while _working_seconds(url):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_who_hangs_up_while_waiting_leaves_the_line(model: Speech2Face, voice: str) -> None:
    with served(model, Serve(places=3, steps=1000, job_seconds=600)) as url:
        with _a_long_drawing(url, voice):
            for accept in ("application/json", "application/x-ndjson"):
                asked = json.dumps({"voices": [voice], "count": 1})
                with pytest.raises(requests.RequestException):
                    requests.post(f"{url}/v1/faces", data=asked, headers={"Accept": accept}, timeout=1.5)
            deadline = time.monotonic() + 120
            while requests.get(f"{url}/healthz", timeout=120).json()["waiting"]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        _comes_to_rest(url)
        assert "ds2f_work_seconds_count 1.0" in _metrics(url), "nobody worked for those who left"


def test_at_the_end_all_are_sent_away(model: Speech2Face, voice: str) -> None:
    waited: list[dict[str, Any]] = []
    with contextlib.ExitStack() as until_the_end:
        with served(model, Serve(steps=1000, job_seconds=600)) as url:
            drawn = until_the_end.enter_context(_a_long_drawing(url, voice))
            waiting = threading.Thread(target=lambda: waited.extend(_lines(url, voices=[voice], count=1)))
            waiting.start()
            while not requests.get(f"{url}/healthz", timeout=120).json()["waiting"]:
                time.sleep(0.05)
            last = threading.Thread(target=lambda: waited.extend(drawn))
            last.start()
        waiting.join()
        last.join()
    assert sum(line.get("status") == 503 and "is ending" in line["error"] for line in waited) == 2


def test_a_guide_picture_reaches_a_model_that_knows_it(model: Speech2Face, voice: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(buffer, "PNG")
    guide = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    for every_condition in (True, False):
        decoder = tiny_decoder(every_condition=every_condition)
        taught = Speech2Face(model.prior, decoder, model.folder, torch.device("cpu"))
        with served(taught, Serve()) as url:
            assert requests.get(f"{url}/v1/model", timeout=120).json()["guide"] is every_condition
            if every_condition:
                faces = [_lines(url, voices=[voice], count=1, steps=2, guide=g)[-1]["faces"] for g in (None, guide)]
                assert faces[0] != faces[1]
            else:
                answer = requests.post(
                    f"{url}/v1/faces", data=json.dumps({"voices": [voice], "guide": guide}), timeout=300
                )
                assert "not taught to follow a guide" in _error(answer, 422)


def test_a_guide_is_decoded_beside_the_event_loop_and_has_a_place(
    model: Speech2Face, voice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(model, Serve(places=1, guide_px=32))
    seen: list[tuple[str, bool]] = []
    drawn: list[Wish] = []

    def wish(*given: Any, **named: Any) -> Wish:
        seen.append((threading.current_thread().name, answers.turns.full))
        return make_wish(*given, **named)

    def draw(*given: Any) -> Any:
        drawn.append(given[1].wish)
        return {"faces": [], "settings": {}}

    monkeypatch.setattr(wanted, "make_wish", wish)
    monkeypatch.setattr(drawing, "draw", draw)
    buffer = io.BytesIO()
    Image.new("RGB", (100, 50), "teal").save(buffer, "PNG")
    data = json.dumps({"voices": [voice], "guide": base64.b64encode(buffer.getvalue()).decode()}).encode()

    async def ask() -> Response:
        return await answers.faces(_request(data))

    with answers.turns.place("somebody"), pytest.raises(Refused, match="Too many are waiting"):
        asyncio.run(ask())
    assert not seen, "nobody looks at a picture that waits outside"
    asyncio.run(ask())
    ((thread, full),) = seen
    assert thread != threading.main_thread().name
    assert full
    assert drawn[0].guide is not None
    assert drawn[0].guide.shape == (16, 32, 3)


def _request(data: bytes) -> Request:
    """Of somebody who stays."""
    sent = iter([{"type": "http.request", "body": data, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if (message := next(sent, None)) is None:
            await asyncio.sleep(3600)
        return message or {}

    scope = {"type": "http", "method": "POST", "path": "/v1/faces", "query_string": b"", "headers": []}
    return Request(scope, receive)
