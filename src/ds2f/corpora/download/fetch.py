"""Downloads one file over HTTP in as many attempts as it takes, resuming a partial download if the file is still the
same."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from ds2f import __version__
from ds2f.errors import UserError
from ds2f.io.files import write_json
from ds2f.types import Progress

CHUNK = 1 << 20  # bytes
TIMEOUT = (20.0, 60.0)  # seconds to connect, and between two chunks
ATTEMPTS = 5  # consecutive attempts without a single byte
LONGEST_WAIT = 300.0  # seconds that a server may ask us to wait; beyond that, the user decides


@dataclass(frozen=True)
class Login:
    """The user's name and password for a server that requires them."""

    user: str
    password: str


def fetch(url: str, target: Path, login: Login | None = None, progress: Progress | None = None) -> Path:
    """Download `url` to `target`, through target.part; an interrupted call is resumed.

    progress: called with (bytes present, total bytes or 0, name). Raises UserError for what the user must fix: an
    address that does not exist, a rejected login, a server that stays unreachable.
    """
    part, about = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.json")
    if target.exists():
        about.unlink(missing_ok=True)  # left by a run that was killed after renaming
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _attempt(url, part, about, login, lambda done, total: progress and progress(done, total, target.name))
            break
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            grown = part.exists() and part.stat().st_size > before
            failures = 0 if grown else failures + 1
            if failures >= ATTEMPTS:
                raise UserError(
                    f"{url} cannot be reached ({_short(error)}); what is there is kept: run the command again later."
                ) from None
            time.sleep(min(2.0**failures, 30.0) if failures else 0.2)
        except requests.RequestException as error:  # endless redirects, malformed addresses, ...
            raise UserError(f"{url} cannot be fetched ({_short(error)}); check the address.") from None
    part.replace(target)
    about.unlink(missing_ok=True)
    return target


def _attempt(url: str, part: Path, about: Path, login: Login | None, progress: Callable[[int, int], object]) -> None:
    """One request, from where the part ends. Raises requests' errors if another attempt may help."""
    there, known = (part.stat().st_size if part.exists() else 0), _read(about)
    headers = {"User-Agent": f"ds2f/{__version__}", "Accept-Encoding": "identity"}
    if there and known.get("version"):
        # With If-Range, a server whose file has changed sends all of it (RFC 9110, section 13.1.5).
        headers |= {"Range": f"bytes={there}-", "If-Range": known["version"]}
    elif there:
        there = 0  # it is unknown which file the part belongs to
    auth = (login.user, login.password) if login else None
    with requests.get(url, headers=headers, auth=auth, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416 and there == known.get("length"):
            return  # it was complete; only the renaming was missing
        if answer.status_code == 416:
            part.unlink(missing_ok=True)  # longer than the file
        _check(url, answer)
        if _is_page(answer) and not part.name.endswith((".html.part", ".htm.part")):
            raise UserError(
                f"{url} returned a web page instead of the file; log in with --user, or ask for a new address."
            )
        goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {there}-")
        there = there if goes_on else 0
        length = _length(answer, there)
        version = answer.headers.get("ETag", "")
        version = answer.headers.get("Last-Modified", "") if version.startswith("W/") or not version else version
        write_json(about, {"url": url, "version": version, "length": length})
        with part.open("ab" if goes_on else "wb") as file:
            progress(there, length)
            for piece in answer.iter_content(CHUNK):
                file.write(piece)
                there += len(piece)
                progress(there, max(length, there))
    if length and there != length:
        raise requests.ConnectionError(f"the connection ended after {there:,} of {length:,} bytes")


def _check(url: str, answer: requests.Response) -> None:
    if answer.status_code in (429, 503):
        wait = _retry_after(answer)
        if wait > LONGEST_WAIT:
            raise UserError(
                f"{url}: the server asks for a pause of {wait / 60:.0f} minutes; run the command again then."
            )
        time.sleep(wait)
        raise requests.ConnectionError(f"the server asked for a pause (HTTP {answer.status_code})")
    if answer.status_code in (401, 403):
        raise UserError(f"{url} requires a valid login (HTTP {answer.status_code}); give --user and a password.")
    if answer.status_code in (404, 410):
        raise UserError(f"{url} is not there (HTTP {answer.status_code}); check the address.")
    if answer.status_code not in (200, 206):
        raise requests.ConnectionError(f"HTTP {answer.status_code} {answer.reason}")


def _is_page(answer: requests.Response) -> bool:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html"


def _length(answer: requests.Response, there: int) -> int:
    """Bytes of the whole file, 0 if the server does not say. there: bytes that it will not send again."""
    whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
    if whole.isdigit():
        return int(whole)
    rest = answer.headers.get("Content-Length", "")
    return there + int(rest) if rest.isdigit() else 0


def _retry_after(answer: requests.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 2.0


def _read(about: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(about.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _short(error: Exception) -> str:
    text = str(error)
    reason = text.rpartition(": ")[2] if "Max retries" in text else text
    return reason.strip("'\")>") or type(error).__name__
