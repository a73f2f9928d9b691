"""`ds2f serve` as a process: it says where it is, answers, and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from ds2f.cli import main
from ds2f.errors import UserError
from ds2f.page.serve import address_of, listen_at

pytest.importorskip("starlette", reason="the extra demo is not installed")


def test_it_says_where_it_is_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ds2f", "serve", "--port", "0", "--device", "cpu"]
    # A shell that runs tests in the background makes them ignore ctrl-C; here it must count.
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **pipes, **listening)
    try:
        said = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert address, said
        assert requests.get(f"{address[0]}/v1/model", timeout=300).json()["size"] > 0
        assert list(tmp_path.iterdir()) == [], "nothing is written"
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 130
        assert "Traceback" not in errors
    finally:
        process.kill()


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_the_address_is_the_one_that_is_listened_at(host: str, shown: str) -> None:
    try:
        listening = listen_at(host, 0)
    except UserError:
        pytest.skip(f"this machine has no {host}")
    with listening:
        assert address_of(listening) == f"{shown}{listening.getsockname()[1]}"


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    said = capsys.readouterr().err
    assert "cannot be used" in said
    assert "give another --port" in said


def test_without_the_extra_it_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve"]) == 2
    assert "pip install 'ds2f[serve]'" in capsys.readouterr().err
