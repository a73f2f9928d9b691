"""Who may ask the server, how much at once and for how long, who is sent away, and what it counts of all that."""

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
from typing import Any

import pytest
import requests
from PIL import Image

from ds2f import Speech2Face

pytest.importorskip("starlette", reason="the extra demo is not installed")

from starlette.requests import Request
from starlette.responses import Response

from ds2f.config import Serve
from ds2f.page import drawing, wanted
from ds2f.page.app import Answers
from ds2f.page.refused import Refused
from ds2f.speech2face.wishes import make_wish
from ds2f.types import Wish
from page_server import CLIP, error, lines, served


def test_other_pages_and_other_names_are_refused(address: str) -> None:
    others = [{"Host": "evil.example"}, {"Host": "evil.example:80"}]
    others += [{"Origin": origin} for origin in ("http://evil.example", "http://[evil", "null")]
    for headers in others:
        assert "does not answer" in error(requests.post(f"{address}/v1/voices", headers=headers, timeout=120), 403)
    assert "--allow-host" in error(
        requests.get(f"{address}/metrics", headers={"Host": "evil.example"}, timeout=120), 403
    )
    own = requests.get(f"{address}/v1/model", headers={"Origin": address}, timeout=120)
    assert own.status_code == 200


def test_large_and_slow_uploads_are_refused(address: str, model: Speech2Face) -> None:
    large = bytes(2_100_000)
    assert "larger than 2 MB" in error(requests.post(f"{address}/v1/voices", data=large, timeout=120), 413)

    def drop_by_drop() -> Iterator[bytes]:
        for _ in range(5):
            yield b"drop"
            time.sleep(0.2)

    pieces = (large[start : start + 500_000] for start in range(0, len(large), 500_000))  # no length stated
    assert "larger than 2 MB" in error(requests.post(f"{address}/v1/voices", data=pieces, timeout=120), 413)
    with served(model, Serve(upload_seconds=0.5)) as slow:
        assert "longer than 0.5 s" in error(requests.post(f"{slow}/v1/voices", data=drop_by_drop(), timeout=120), 408)


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
        assert lines(url, voices=[voice], count=1, steps=1)[-1]["done"]
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
        drawn = map(json.loads, answer.iter_lines())
        assert any("step" in line for line in drawn)
        yield drawn


def test_a_drawing_that_takes_too_long_or_that_nobody_waits_for_is_stopped(model: Speech2Face, voice: str) -> None:
    with served(model, Serve(job_seconds=0.0, places=1)) as url:
        assert "took more than 0 s" in lines(url, voices=[voice], count=8, steps=50)[-1]["error"]
        answer = requests.post(f"{url}/v1/faces", data=json.dumps({"voices": [voice]}), timeout=300)
        assert "took more than 0 s" in error(answer, 422)
    with served(model, Serve(places=1, steps=1000)) as url:
        with _a_long_drawing(url, voice):
            pass
        _comes_to_rest(url)  # a thousand steps would take longer
        assert lines(url, voices=[voice], count=1, steps=1)[-1]["done"]


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
            waiting = threading.Thread(target=lambda: waited.extend(lines(url, voices=[voice], count=1)))
            waiting.start()
            while not requests.get(f"{url}/healthz", timeout=120).json()["waiting"]:
                time.sleep(0.05)
            last = threading.Thread(target=lambda: waited.extend(drawn))
            last.start()
        waiting.join()
        last.join()
    assert sum(line.get("status") == 503 and "is shutting down" in line["error"] for line in waited) == 2


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
    Image.linear_gradient("L").resize((100, 50)).save(buffer, "PNG")
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
