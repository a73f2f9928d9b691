"""/openapi.json: valid, complete, and true; that all answers are as it says is checked in every test of this folder."""

from __future__ import annotations

import json
import re

import pytest
import requests

from ds2f import Speech2Face
from ds2f.config import Serve
from openapi_contract import Contract

pytest.importorskip("starlette", reason="the extra demo is not installed")

from ds2f.page.app import OWN, Answers
from ds2f.page.openapi import described
from ds2f.page.wanted import FIELDS
from ds2f.speech2face.settings import DEFAULT


def test_it_is_valid(address: str) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    document = requests.get(f"{address}/openapi.json", timeout=120).json()
    validator.validate(document)
    assert document["openapi"].startswith("3.1")
    assert document == described(Serve(upload_mb=2.0, max_seconds=20.0), 8, 512)


def test_every_route_is_in_it_and_nothing_else(model: Speech2Face, contract: Contract) -> None:
    routes = {
        (method.lower(), re.sub(r":\w+", "", route.path))
        for route in Answers(model, Serve()).routes()
        for method in route.methods or ()
        if method != "HEAD" and route.path.removeprefix("/") not in OWN
    }
    paths = contract.document["paths"]
    assert routes == {(method, path) for path, methods in paths.items() for method in methods}


def test_every_wish_is_in_it(contract: Contract) -> None:
    schemas = contract.document["components"]["schemas"]
    assert tuple(schemas["Wishes"]["properties"]) == FIELDS
    faces = contract.document["paths"]["/v1/faces"]["post"]
    form = faces["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"recording", *FIELDS}
    assert {parameter["name"] for parameter in faces["parameters"]} == set(FIELDS) - {"voices", "guide"}


def test_limits_and_defaults_in_it_are_the_servers(model: Speech2Face) -> None:
    document = described(Serve(count=3, steps=7), 2, model.prior.inputs.dim)
    wishes = document["components"]["schemas"]["Wishes"]["properties"]
    assert (wishes["count"]["maximum"], wishes["steps"]["maximum"]) == (3, 7)
    assert wishes["variety"]["default"] == DEFAULT.temperature


def test_what_it_takes_is_taken_and_what_it_refuses_is_refused(address: str, contract: Contract) -> None:
    """At both ends of every range, and one beyond."""
    voice = requests.post(
        f"{address}/v1/voices", data=requests.get(f"{address}/v1/samples/1", timeout=120).content, timeout=300
    )
    properties = contract.document["components"]["schemas"]["Wishes"]["properties"]
    tried = 0
    for name, wish in properties.items():
        for bound, outside in (("minimum", -1), ("maximum", 1)):
            if bound in wish:
                for value, taken in ((wish[bound], True), (wish[bound] + outside, False)):
                    asked = {"voices": [voice.json()["voice"]], "count": 1, "steps": 1, name: value}
                    answer = requests.post(f"{address}/v1/faces", data=json.dumps(asked), timeout=300)
                    assert (answer.status_code == 200) == taken, (name, value, answer.text[:200])
                    tried += 1
    assert tried == 16
