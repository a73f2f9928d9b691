"""A Hugging Face Hub of our own, in a thread: enough of its protocol to push a model to it and to take one from it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

OWN = re.compile(r"/api/models/([^/]+/[^/]+)/(preupload|commit|revision|tree|branch)/([^/?]+)")
FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


class FakeHub(ThreadingHTTPServer):
    """repos: {id: {commit: {path: bytes}}}; heads: {(id, branch): commit}; private: ids; asked: lines of requests;
    refused: {part of a path: (status, JSON, headers)}, what is not done, and what is said in its place."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.heads: dict[tuple[str, str], str] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []
        self.refused: dict[str, tuple[int, Any, dict[str, str]]] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def files(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commit = self.heads.get((repo, revision), revision)
        found = self.repos.get(repo, {}).get(commit)
        return None if found is None else (commit, found)

    def commit(self, repo: str, branch: str, files: dict[str, bytes], gone: Collection[str] = ()) -> str:
        """Add files to a branch, and take others away, as a new commit."""
        before = self.files(repo, branch) or self.files(repo, "main")
        after = {name: data for name, data in (before[1] if before else {}).items() if name not in gone} | files
        commit = hashlib.sha1(repr(sorted(after.items())).encode()).hexdigest()
        self.repos.setdefault(repo, {})[commit] = after
        self.heads[repo, branch] = commit
        return commit


@contextmanager
def running() -> Iterator[FakeHub]:
    hub = FakeHub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"POST {self.path}")
        if self._refused():
            return None
        own = OWN.match(self.path)
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            repo = "/".join(filter(None, (wanted.get("organization"), wanted["name"])))
            self.server.repos.setdefault(repo, {})
            hidden = wanted.get("private") or wanted.get("visibility") == "private"
            self.server.private.setdefault(repo, bool(hidden))
            return self._json({"url": f"{self.server.url}/{repo}", "name": repo})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if own is None or own[1] not in self.server.repos:
            return self._refuse("RepoNotFound")
        repo, what, revision = own[1], own[2], unquote(own[3])
        if what == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            return self._json({"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]})
        if what == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            values = [line["value"] for line in lines if line["key"] == "file"]
            gone = [line["value"]["path"] for line in lines if line["key"] == "deletedFile"]
            oid = self.server.commit(repo, revision, {v["path"]: base64.b64decode(v["content"]) for v in values}, gone)
            return self._json({"commitUrl": f"{self.server.url}/{repo}/commit/{oid}", "commitOid": oid})
        return self._json({})

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        if self._refused():
            return None
        path = urlsplit(self.path).path
        if asked := FILE.match(path):
            return self._file(asked[1], unquote(asked[2]), unquote(asked[3]))
        own = OWN.match(path)
        if own is None or own[1] not in self.server.repos:
            return self._refuse("RepoNotFound")
        found = self.server.files(own[1], unquote(own[3]))
        if own[2] == "tree" and found is None:
            found = self.server.files(own[1], "main") or ("", {})  # what a new branch begins with
        if found is None:
            return self._refuse("RevisionNotFound")
        commit, files = found
        if own[2] == "tree":
            return self._json([{"type": "file", "path": p, "size": len(d), "oid": _etag(d)} for p, d in files.items()])
        return self._json({"id": own[1], "sha": commit, "siblings": [{"rfilename": path} for path in files]})

    do_HEAD = do_GET

    def _refused(self) -> bool:
        for part, (status, said, headers) in self.server.refused.items():
            if part in self.path:
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self._send(status, data, {"Content-Type": "application/json", **headers})
                return True
        return False

    def _file(self, repo: str, revision: str, path: str) -> None:
        found = self.server.files(repo, revision)
        if found is None or path not in found[1]:
            return self._refuse("EntryNotFound")
        data = found[1][path]
        headers = {"X-Repo-Commit": found[0], "ETag": f'"{_etag(data)}"', "Content-Type": "application/octet-stream"}
        return self._send(200, data, headers)

    def _json(self, data: Any) -> None:
        self._send(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _refuse(self, code: str) -> None:
        self._send(404, b"{}", {"X-Error-Code": code, "Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
