"""A small HTTP server with the moods of real ones, for the tests of downloading."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """files: what it serves, by path; ranges: whether it can go on in the middle; drop_after: bytes after which it
    hangs up, once for each entry; kind: of what it sends; lengths: whether it says how much, for what it goes on with;
    login: the only name:password it takes; status: answers by path, each given once."""

    files: dict[str, bytes]
    ranges: bool = True
    drop_after: list[int] = field(default_factory=list)
    kind: str = "application/octet-stream"
    lengths: bool = True
    login: str | None = None
    status: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Run `site` on a free port of this machine; its `address` is set."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            asked = self.headers.get("Range")
            site.requests.append((path, asked))
            if site.status.get(path):
                code, headers = site.status[path].pop(0)
                self._answer(code, b"", headers)
                return
            if site.login is not None:
                wanted = "Basic " + base64.b64encode(site.login.encode()).decode()
                if self.headers.get("Authorization") != wanted:
                    self._answer(401, b"", {"WWW-Authenticate": "Basic"})
                    return
            if path not in site.files:
                self._answer(404, b"", {})
                return
            body = site.files[path]
            tag = f'"{hashlib.md5(body).hexdigest()}"'
            if asked and site.ranges and self.headers.get("If-Range") == tag:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                    return
                span = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}", "ETag": tag}
                self._answer(206, body[start:], span)
            else:
                self._answer(200, body, {"ETag": tag} if site.ranges else {})

        def _answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", site.kind)
            if site.lengths or code != 206:
                self.send_header("Content-Length", str(len(body)))
            else:
                self.close_connection = True
            self.end_headers()
            if body and site.drop_after:
                self.wfile.write(body[: site.drop_after.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that hangs up is no news
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
