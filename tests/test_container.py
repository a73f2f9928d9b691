"""Dockerfile and compose.yaml: as hadolint asks, and true to each other; and the server under what a container takes
from it (no rights, a root that cannot be written, no home), which Linux can do to a process without Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import requests
import yaml

from ds2f.demo import samples

ROOT = Path(__file__).parents[1]
DOCKERFILE, COMPOSE = ROOT / "Dockerfile", ROOT / "compose.yaml"
HADOLINT = shutil.which("hadolint", path=f"{sysconfig.get_path('scripts')}:{os.environ.get('PATH', '')}")

CONTAINED = """
set -e
for place in $(cut -d ' ' -f 2 /proc/mounts | grep -v -E '^/(proc|sys|dev)(/|$)'); do
    mount -o remount,bind,ro "$place"
done
cd /
# Nobody, who may read everything, as the Python of the tests may lie in somebody's home, and write nothing.
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all,+dac_read_search \\
    --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search "$@"
"""
CONTAIN = ["unshare", "--mount", "--propagation", "private", "bash", "-c", CONTAINED, "contained"]


def instructions(name: str) -> list[str]:
    text = re.sub(r"\\\n", "", DOCKERFILE.read_text())
    return re.findall(rf"^{name} +(.*)$", text, re.MULTILINE)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_hadolint_has_no_complaint() -> None:
    done = subprocess.run([str(HADOLINT), str(DOCKERFILE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()[1:]
    assert rules[0] == "*"
    sent = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {source for line in instructions("COPY") if "--from" not in line for source in line.split()[:-1]}
    assert sent == copied
    assert all((ROOT / source).exists() for source in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [project["project"]["readme"], *project["project"]["license-files"]]
    needed += project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert [file for file in needed if Path(file).parts[0] not in copied] == [], "without it no wheel can be built"


def test_compose_gives_what_the_image_needs() -> None:
    service = yaml.safe_load(COMPOSE.read_text())["services"]["ds2f"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    (home,) = re.findall(r"HOME=(\S+)", DOCKERFILE.read_text())
    assert [volume.partition(":")[2] for volume in service["volumes"]] == [home]
    assert service["ports"] == [f"127.0.0.1:{instructions('EXPOSE')[0]}:7860"]
    assert service["command"] == yaml.safe_load(instructions("CMD")[-1])
    assert set(service["build"]["args"]) <= {line.partition("=")[0] for line in instructions("ARG")}
    user, entry = instructions("USER")[-1], instructions("ENTRYPOINT")[-1]
    assert int(user.partition(":")[0]) > 0
    assert entry == '["ds2f"]'


def _may_contain() -> str:
    """Why a process cannot be contained here; empty if it can."""
    if sys.platform != "linux" or os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        return "a process can be contained only by root on Linux, with unshare and setpriv"
    done = subprocess.run([*CONTAIN, "true"], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"this machine does not let a process be contained ({done.stderr.strip()})"


def test_it_serves_without_rights_and_with_nothing_to_write_to() -> None:
    pytest.importorskip("starlette", reason="the extra serve is not installed")
    if reason := _may_contain():
        pytest.skip(reason)
    words = yaml.safe_load(instructions("CMD")[-1])
    words[words.index("0.0.0.0")] = "127.0.0.2"  # as little as will do; not a name of its own either
    command = [sys.executable, "-u", "-m", "ds2f", *words, "--port", "0", "--size", "64"]
    environment = {**os.environ, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen([*CONTAIN, *command], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://127\.0\.0\.2:\d+", process.stdout.readline())
        own = address[0].replace("127.0.0.2", "localhost")
        called = {"Host": own.removeprefix("http://")}
        assert os.stat(f"/proc/{process.pid}").st_uid == 10001
        assert "Read-only" in _written_by(process.pid)
        told = requests.get(f"{address[0]}/healthz", headers=called, timeout=300).json()
        assert told["ready"]
        assert requests.get(f"{address[0]}/healthz", timeout=300).status_code == 403, "by another name"
        face = requests.post(
            f"{address[0]}/v1/faces",
            data=(samples() / "person-5.mp4").read_bytes(),
            params={"count": 1},
            headers={**called, "Accept": "image/png"},
            timeout=120,
        )
        assert face.content.startswith(b"\x89PNG"), face.text[:300]
        process.terminate()
        process.wait(60)
        assert process.returncode == -15
    finally:
        process.kill()


def _written_by(process: int) -> str:
    """What a process says that writes to the root of another."""
    enter = ["nsenter", "--target", str(process), "--mount", "touch", "/written"]
    return subprocess.run(enter, capture_output=True, text=True).stderr
