"""The HTTP API for programs: OpenAPI 3.1, with the limits of this server. docs/api.md is for people."""

from __future__ import annotations

import math
from typing import Any

from ds2f import __version__
from ds2f.config import Generate, Serve
from ds2f.types import AGE_BINS, GENDERS

JSON = "application/json"
NUMBER, TEXT, WHOLE = {"type": "number"}, {"type": "string"}, {"type": "integer"}
FILE = {"type": "string", "contentMediaType": "application/octet-stream", "minLength": 1}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
MAYBE = {"type": ["number", "null"]}
ERRORS = {
    400: "The request cannot be parsed.",
    403: "The server does not answer to this host name, or to pages of another origin.",
    404: "It does not exist.",
    406: "Faces are not available in any accepted media type.",
    408: "The request took too long to arrive.",
    413: "The request is too large.",
    422: "A recording, voice, picture or wish cannot be used; the sentence says why.",
    429: "This client has too many requests, or too much data, at once; Retry-After says when to try again.",
    500: "The server failed.",
    503: "Too many requests are waiting, or the server is shutting down; Retry-After says when to try again.",
}
HEARD = "The voice of a recording, as /v1/faces takes it, and what it says about its speaker."
CHECKED = "What the marks of a picture say about its origin. The answer is never that a picture is real."
SENT = (400, 408, 413, 422, 429)  # possible errors of a request with a body


def described(limits: Serve, samples: int, dim: int, chosen: Generate = Generate()) -> dict[str, Any]:
    """The OpenAPI document. limits: of the server; samples: how many synthetic voices it has; dim: numbers in a
    voice; chosen: how faces are drawn unless the request says otherwise."""
    wishes = _wishes(limits, dim, chosen)
    text = {"text/plain": {"schema": TEXT}}
    number = {"name": "number", "in": "path", "required": True, "schema": _range(WHOLE, 1, samples)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ds2f",
            "version": __version__,
            "summary": "Faces that could belong to a voice.",
            "description": "Faces are imagined: they show no real person, and identify nobody. Nothing is kept.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in ("faces", "server")],
        "paths": {
            "/v1/faces": {"post": _faces(wishes)},
            "/v1/voices": {"post": _of_a_file("voices", "recording", HEARD, "Voice")},
            "/v1/check": {"post": _of_a_file("check", "picture", CHECKED, "Checked")},
            "/v1/model": {"get": _get("What is served: model, sizes, limits, defaults.", _of("Model"), "model")},
            "/v1/samples/{number}": {
                "get": _get("A synthetic voice to try.", {"video/mp4": {"schema": FILE}}, "sample", [number], (404,))
            },
            "/openapi.json": {"get": _get("This document.", {JSON: {"schema": {"type": "object"}}}, "openapi")},
            **{f"/healthz{part}": {"get": _health(part)} for part in ("", "/live", "/ready")},
            "/metrics": {"get": _get("Counters, as Prometheus reads them.", text, "metrics")},
        },
        "components": {"schemas": _schemas(limits, wishes, dim), "responses": _errors()},
    }


def _faces(wishes: dict[str, Any]) -> dict[str, Any]:
    spoken = {name: wish for name, wish in wishes.items() if name not in ("voices", "guide")}
    query = [{"name": name, "in": "query", "schema": wish} for name, wish in spoken.items()]
    form = {
        "type": "object",
        "properties": {"recording": FILE, **wishes, "guide": FILE},
        "additionalProperties": False,
    }
    return {
        "operationId": "faces",
        "tags": ["faces"],
        "summary": "Draw faces for a recording, or for voices.",
        "description": "Send a recording as the body, with wishes in the query; or a form, in which `recording` may "
        "occur twice; or JSON with voices of /v1/voices. Accept picks the response: application/json, image/png (one "
        "face), or application/x-ndjson: a line of JSON per step, schema Line, while they are drawn.",
        "parameters": query,
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": "#/components/schemas/Wishes"}},
                "multipart/form-data": {"schema": form},
                "*/*": {"schema": FILE},
            },
        },
        "responses": {
            "200": {
                "description": "The faces, marked as generated.",
                "content": {
                    **_of("Faces"),
                    "image/png": {"schema": FILE},
                    "application/x-ndjson": {"schema": {**TEXT, "description": "Lines, each a Line in JSON."}},
                },
            },
            **_refused(*SENT, 406),
        },
    }


def _of_a_file(name: str, field: str, summary: str, schema: str) -> dict[str, Any]:
    form = {"type": "object", "properties": {field: FILE}, "required": [field]}
    return {
        "operationId": name,
        "tags": ["faces"],
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form}, "*/*": {"schema": FILE}},
        },
        "responses": {"200": {"description": summary, "content": _of(schema)}, **_refused(*SENT)},
    }


def _get(
    summary: str,
    content: dict[str, Any],
    name: str,
    parameters: list[dict[str, Any]] | None = None,
    errors: tuple[int, ...] = (),
) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["server"],
        "summary": summary,
        **({"parameters": parameters} if parameters else {}),
        "responses": {"200": {"description": summary, "content": content}, **_refused(*errors)},
    }


def _health(part: str) -> dict[str, Any]:
    what = "Whether the current job makes progress." if part == "/live" else "Whether it does, and a place is free."
    operation = _get(what, _of("Health"), "health" + part.replace("/", "_"))
    operation["responses"]["503"] = {"description": "It is not the case.", "content": _of("Health")}
    return operation


def _of(schema: str) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _refused(*statuses: int) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted({*statuses, 403, 500, 503})}


def _errors() -> dict[str, Any]:
    after = {"Retry-After": {"description": "Seconds.", "schema": WHOLE}}
    return {
        str(status): {
            "description": meaning,
            **({"headers": after} if status in (429, 503) else {}),
            "content": _of("Error"),
        }
        for status, meaning in ERRORS.items()
    }


def _range(kind: dict[str, Any], low: float, high: float, **more: Any) -> dict[str, Any]:
    return {**kind, "minimum": low, "maximum": high, **more}


def _voice(dim: int) -> dict[str, Any]:
    letters = 4 * math.ceil(4 * dim / 3)
    described = f"{dim} numbers, little-endian float32."
    return {**TEXT, "contentEncoding": "base64", "minLength": letters, "description": described}


def _wishes(limits: Serve, dim: int, chosen: Generate) -> dict[str, Any]:
    count, steps = min(chosen.count, limits.count), min(chosen.steps, limits.steps)
    return {
        "voices": {
            "type": "array",
            "items": _voice(dim),
            "minItems": 1,
            "maxItems": 2,
            "description": "As /v1/voices gives them.",
        },
        "count": _range(
            WHOLE,
            1,
            limits.count,
            default=count,
            description="Faces per voice; a PNG has one.",
        ),
        "seed": {
            **WHOLE,
            "default": 0,
            "description": "Of the first face; the same seed gives the same face. 0, 4, 8 and so on draw the most "
            "typical person for the voice, the three after each others who may have it.",
        },
        "steps": _range(
            WHOLE,
            1,
            limits.steps,
            default=steps,
            description="By default the fast decoder's.",
        ),
        "fast": {
            "type": "boolean",
            "default": chosen.fast,
            "description": "Draw with the fast decoder, in its few steps.",
        },
        "variety": {**SHARE, "default": chosen.temperature, "description": "0: only what the voice determines."},
        "age": _range(NUMBER, 0, 100, description="Years; by default as heard."),
        "gender": {"enum": list(GENDERS), "description": "By default as heard."},
        "guide": {**TEXT, "description": "A blurred or tiny picture to complete, in base64 or as a data URL."},
    }


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _picture(kind: str) -> dict[str, Any]:
    return {**TEXT, "pattern": f"^data:image/{kind};base64,"}


def _schemas(limits: Serve, wishes: dict[str, Any], dim: int) -> dict[str, Any]:
    face = _object({"seed": WHOLE, "png": _picture("png")})
    drawn = {"faces": {"type": "array", "items": face, "minItems": 1}, "settings": {"type": "object"}}
    previews = {"type": "array", "items": _picture("webp")}
    error = {"status": _range(WHOLE, 400, 599), "error": {**TEXT, "description": "A sentence."}}
    known = [name for name in vars(limits) if name != "hosts"]
    model = {
        "version": TEXT,
        "notice": TEXT,
        "model": {**TEXT, "description": "A hash of its weights."},
        "size": {**WHOLE, "description": "Pixels of a face."},
        "samples": WHOLE,
        "fast": {**WHOLE, "description": "Steps of the fast decoder; 0: there is none."},
        "guide": {"type": "boolean", "description": "Whether a guide picture can be followed."},
        "signed": {"type": "boolean", "description": "Whether pictures have Content Credentials (C2PA)."},
        "limits": _object(dict.fromkeys(known, NUMBER)),
        "defaults": {"type": "object"},
    }
    return {
        "Wishes": _object({"voices": wishes["voices"]}, **{k: v for k, v in wishes.items() if k != "voices"}),
        "Faces": _object(drawn),
        "Checked": _object(_checked()),
        "Voice": _object({"voice": _voice(dim), "description": _object(_heard())}),
        "Line": {
            "oneOf": [
                _object({"waiting": {**WHOLE, "description": "Requests ahead of this one."}}),
                _object({"step": WHOLE, "of": WHOLE, "faces": {**previews, "description": "As they look so far."}}),
                _object({"done": {"const": True}, **drawn}),
                _object(error),
            ]
        },
        "Model": _object(model),
        "Health": _object({"live": {"type": "boolean"}, "ready": {"type": "boolean"}, "waiting": WHOLE}),
        "Error": _object(error),
    }


def _heard() -> dict[str, Any]:
    def belief(names: tuple[str, ...]) -> dict[str, Any]:
        shares = _object(dict.fromkeys(names, SHARE))
        return _object({"probabilities": shares, "before": shares})

    return {
        "speech_seconds": {**NUMBER, "minimum": 0},
        "pitch": {**MAYBE, "description": "Hz, the median; null: not measured."},
        "pitch_spread": {**MAYBE, "description": "Semitones."},
        "rate": {**MAYBE, "description": "Syllables per second."},
        "age": belief(AGE_BINS),
        "age_years": {
            "type": "array",
            "items": NUMBER,
            "minItems": 3,
            "maxItems": 3,
            "description": "The 10th, 50th and 90th percentiles.",
        },
        "gender": belief(GENDERS),
        "determined": {**SHARE, "description": "How much of a face the voice determines."},
        "part": {
            **_object({name: {**NUMBER, "minimum": 0} for name in ("start", "end", "length")}),
            "type": ["object", "null"],
            "description": "Seconds of a long recording in which speech was found; null: all of it was heard.",
        },
    }


def _checked() -> dict[str, Any]:
    yes, maybe = {"type": "boolean"}, {"type": ["object", "null"]}
    return {
        "verdict": {**TEXT, "description": "A sentence without its full stop."},
        "sentences": {"type": "array", "items": TEXT, "description": "What each kind of mark says."},
        "made_by_ds2f": yes,
        "generated": {**yes, "description": "By any generator."},
        "layers": {"type": "array", "items": {"enum": ["watermark", "c2pa", "xmp"]}},
        "watermark": _object({"similarity": NUMBER, "chance": SHARE, "found": yes}),
        "c2pa": maybe,
        "c2pa_looked_for": yes,
        "xmp": maybe,
    }
