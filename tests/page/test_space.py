from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

import hub_rules
from ds2f.cli import main


def test_its_readme_is_what_the_hub_takes(tmp_path: Path) -> None:
    repocard = pytest.importorskip("huggingface_hub.repocard", reason="the extra hub is not installed")
    words = ["--model", "owner/name", "--install", "ds2f[serve] @ git+x", "--title", 'My: "voice" #1']
    assert main(["space", str(tmp_path / "space"), *words]) == 0
    card = repocard.SpaceCard.load(tmp_path / "space" / "README.md")
    said = card.data.to_dict()
    hub_rules.check_space(said)
    assert said["title"] == 'My: "voice" #1'
    assert (said["sdk"], said["app_port"], said["models"]) == ("docker", 7860, ["owner/name"])
    assert "git+x" in (tmp_path / "space" / "requirements.txt").read_text()
    assert "'owner/name'" in (tmp_path / "space" / "app.py").read_text()


def test_its_entry_runs_the_page(tmp_path: Path) -> None:
    assert main(["space", str(tmp_path / "space")]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = {"PORT": str(port), "SPACE_HOST": "owner-name.hf.space"}
    folder = tmp_path / "space"
    running = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env={**os.environ, **names})
    try:
        for _ in range(600):
            assert running.poll() is None
            try:
                asked = Request(f"http://127.0.0.1:{port}/", headers={"Host": "owner-name.hf.space"})
                with urlopen(asked, timeout=300) as answer:
                    assert b"<html" in answer.read()
                break
            except ConnectionError:
                time.sleep(0.2)
            except OSError as error:
                if not isinstance(getattr(error, "reason", error), ConnectionError):
                    raise
                time.sleep(0.2)
        else:
            pytest.fail("it did not answer")
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(30)


def test_a_model_must_have_an_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["space", str(tmp_path), "--model", "no id"]) == 2
    assert "owner/name" in capsys.readouterr().err
