"""The server behind the page: what it answers to what it is asked."""

from __future__ import annotations

import base64
import io
import json
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

from ds2f.config import Generate, Serve
from ds2f.page.app import Answers
from ds2f.page.uploads import Sent
from ds2f.page.wanted import Wanted, as_text
from ds2f.speech2face.settings import fits_fast_decoder
from page_server import CLIP, error, lines, served


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
    first, *steps, last = lines(address, voices=[voice], count=2, seed=7, steps=3)
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
    last = lines(address, voices=[voice, other["voice"]], count=2, seed=1, steps=2, age=60, gender="female")[-1]
    assert [face["seed"] for face in last["faces"]] == [1, 2, 1, 2]
    assert len({face["png"] for face in last["faces"]}) == 4
    assert last["settings"]["age"] == 60


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("?count=1&count=2", {"data": CLIP.read_bytes()}),
        ("", {"files": {"recording": CLIP.read_bytes()}, "data": {"count": ["1", "2"]}}),
        ("", {"data": b'{"voices": ["AAAA"], "count": 1, "count": 2}'}),
    ],
)
def test_a_field_that_is_sent_twice_is_refused(address: str, query: str, sent: dict[str, Any]) -> None:
    answer = requests.post(f"{address}/v1/faces{query}", timeout=120, **sent)
    assert error(answer, 422) == "The field 'count' was sent more than once."


def test_what_cannot_be_heard_is_one_sentence(address: str, tmp_path: Path) -> None:
    recordings = {
        "empty": b"",
        "not a media file": b"Dear Sir or Madam",
        "silence": write_audio(tmp_path / "s.wav", silence(2)).read_bytes(),
        "without sound": write_video(tmp_path / "m.mp4", grey_ramp(5)).read_bytes(),
        "not a media": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    }
    for reason, data in recordings.items():
        sentence = error(requests.post(f"{address}/v1/voices", data=data, timeout=300), 422)
        assert reason in sentence.lower()
        assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ("{no JSON", 400, "not JSON"),
        pytest.param('{"voices":' + "[" * 100_000, 400, "not JSON", id="deep"),
        ({"voices": []}, 422, "one or two voices"),
        ({"voices": ["!"]}, 422, "must be text in base64"),
        ({"voices": ["AAAA"]}, 422, "This is not a voice"),
        ({"count": 99}, 422, "count must be a number from 1 to 8"),
        ({"count": 1.5}, 422, "count must be a whole number"),
        ({"cuont": 2}, 422, "no field 'cuont'; there are recording, voices, count"),
        ({"recording": "talk.wav"}, 422, "The recording must be a file; with curl: -F recording=@FILE"),
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
    assert sentence in error(requests.post(f"{address}/v1/faces", data=data, headers=json_like, timeout=300), status)


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
        return error(requests.post(f"{address}/v1/{path}", headers=headers, timeout=300, **sent), status)

    assert "no field 'file' for a file, only recording, guide" in refused(422, files={"file": clip})
    assert "Of recording, at most 2 may be sent" in refused(422, files=[("recording", clip)] * 3)
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
    assert "/openapi.json" in error(requests.get(f"{address}/v2/faces", timeout=120), 404)


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
    assert "ot a picture" in error(requests.post(f"{address}/v1/check", data=b"?", timeout=300), 422)
    assert "no field 'image'" in error(requests.post(f"{address}/v1/check", files={"image": drawn}, timeout=300), 422)
    assert "A picture is needed" in error(requests.post(f"{address}/v1/check", data="{}", timeout=300), 422)


def test_a_fault_of_the_server_is_a_sentence_too(model: Speech2Face, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(model, Serve()) as url:
        monkeypatch.setattr(Speech2Face, "encode_voice", lambda *given: 1 / 0)
        for accept in ("application/json", "application/x-ndjson"):
            headers = {"Accept": accept}
            answer = requests.post(f"{url}/v1/faces", data=CLIP.read_bytes(), headers=headers, timeout=300)
            assert "The server failed" in json.loads(answer.text.splitlines()[-1])["error"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        counted = requests.get(f"{url}/metrics", timeout=120).text
        assert 'ds2f_requests_total{method="POST",route="/v1/faces",status="500"} 1.0' in counted
        assert 'status="499"' not in counted, "as if the client had left"
        assert requests.get(f"{url}/healthz", timeout=120).json()["ready"]


def test_a_guide_picture_reaches_a_model_that_knows_it(model: Speech2Face, voice: str) -> None:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((8, 8)).save(buffer, "PNG")
    guide = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    for every_condition in (True, False):
        decoder = tiny_decoder(every_condition=every_condition)
        taught = Speech2Face(model.prior, decoder, model.folder, torch.device("cpu"))
        with served(taught, Serve()) as url:
            assert requests.get(f"{url}/v1/model", timeout=120).json()["guide"] is every_condition
            if every_condition:
                faces = [lines(url, voices=[voice], count=1, steps=2, guide=g)[-1]["faces"] for g in (None, guide)]
                assert faces[0] != faces[1]
            else:
                answer = requests.post(
                    f"{url}/v1/faces", data=json.dumps({"voices": [voice], "guide": guide}), timeout=300
                )
                assert "not trained to follow a guide" in error(answer, 422)


def test_the_configuration_says_how_faces_are_drawn_unless_somebody_asks(model: Speech2Face, voice: str) -> None:
    with served(model, Serve(count=3), Generate(count=7, temperature=0.25, voice_guidance=1.5)) as address:
        defaults = requests.get(f"{address}/v1/model", timeout=120).json()["defaults"]
        assert (defaults["temperature"], defaults["voice_guidance"]) == (0.25, 1.5)
        assert defaults["count"] == 3, "no more than may be asked for"
        drawn = lines(address, voices=[voice])[-1]
        assert len(drawn["faces"]) == 3
        assert (drawn["settings"]["temperature"], drawn["settings"]["voice_guidance"]) == (0.25, 1.5)
        asked = lines(address, voices=[voice], count=1, variety=0.5)[-1]
        assert (len(asked["faces"]), asked["settings"]["temperature"]) == (1, 0.5)
        schema = requests.get(f"{address}/openapi.json", timeout=120).json()
        assert '"default": 0.25' in json.dumps(schema)


@pytest.mark.parametrize(
    ("chosen", "limit", "asked", "steps", "fast"),
    [
        (Generate(), 8, {}, 10, True),  # the fast decoder has steps of its own
        (Generate(), 8, {"fast": False}, 8, False),
        (Generate(steps=20), 50, {}, 20, False),
        (Generate(steps=20), 50, {"fast": True}, 10, True),
        (Generate(steps=20), 8, {}, 8, False),
        (Generate(guidance=3.0), 50, {}, 10, False),
    ],
)
def test_the_fast_decoder_draws_whatever_the_limit_unless_the_configuration_says_otherwise(
    model: Speech2Face, chosen: Generate, limit: int, asked: dict[str, Any], steps: int, fast: bool
) -> None:
    limits = Serve(steps=limit)
    answers = Answers(model, limits, chosen)
    voice = as_text(np.ones(model.prior.inputs.dim, np.float32))
    wanted = Wanted.read(Sent({}, {"voices": voice, **asked}), limits, model, answers.settings)
    assert (wanted.settings.steps, fits_fast_decoder(wanted.settings)) == (steps, fast)
