"""One training on two real processes (gloo), and what ends a training early."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ds2f.training import checkpoint
from ds2f.training.loop import train
from line import Line, options

SCRIPT = """
import resource, sys
from pathlib import Path
from line import Line, options
from ds2f.errors import UserError
from ds2f.training.loop import train

run, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:
    train(Line(), options(run, total=8 * 20, accumulate=2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # every longer file fails, as on a full disk
try:
    train(Line(), options(run, accumulate=2))
except UserError as error:
    sys.exit(str(error))
"""


def run(folder: Path, processes: int, limit: int = 0) -> subprocess.CompletedProcess[str]:
    script = folder.parent / "script.py"
    script.write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    paths = [str(Path(__file__).parents[1]), *sys.path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, *launcher, str(script), str(folder), str(limit)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    train(Line(), options(one, accumulate=2))
    done = run(two, 2)
    assert done.returncode == 0, done.stderr
    logs = [json.loads((folder / "log.jsonl").read_text()) for folder in (one, two)]
    assert logs[0]["loss"] == pytest.approx(logs[1]["loss"], abs=1e-4)
    assert logs[0]["validation"] == pytest.approx(logs[1]["validation"], abs=1e-4)
    weights = [load_file(checkpoint.checkpoints(folder)[-1] / "ema.safetensors") for folder in (one, two)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-4, rtol=1e-3)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    done = run(tmp_path / "run", 1, limit=200)
    assert "cannot be written" in done.stderr
    assert "checkpoint-000000020, is whole" in done.stderr
    assert "Traceback" not in done.stderr
    kept = checkpoint.checkpoints(tmp_path / "run")
    assert [path.name for path in kept] == ["checkpoint-000000020"]
    assert not list((tmp_path / "run").glob("*.part"))
    assert load_file(kept[0] / "weights.safetensors")
    train(Line(), options(tmp_path / "run", accumulate=2))  # with room again, it goes on
    assert checkpoint.checkpoints(tmp_path / "run")[-1].name == "checkpoint-000000040"
