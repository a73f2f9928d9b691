"""One training on two workers of Ray Train, one of which is killed in the middle: it goes on, and ends as one process
does."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.training import checkpoint
from ds2f.training.jobs import train
from people import paired_dataset

pytest.importorskip("ray.train")
STEPS = 60
SETTINGS = Train(device="cpu", prior_width=16, prior_depth=1, prior_batch=8, prior_steps=STEPS, accumulate=2)


def is_ours(process: int) -> bool:
    """Whether it was started, by way of others, by this process."""
    while process > 1 and process != os.getpid():
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return process == os.getpid()


def kill_a_worker(run: Path, done: threading.Event, killed: list[int]) -> None:
    """Once the first checkpoint is there."""
    while not done.wait(0.02):
        if checkpoint.checkpoints(run):
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    named = place.read_bytes()
                except OSError:
                    continue
                if named.startswith(b"ray::RayTrainWorker") and is_ours(int(place.parent.name)):
                    killed.append(int(place.parent.name))
                    os.kill(killed[-1], signal.SIGKILL)
                    return


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="workers are found by /proc")
def test_a_worker_that_is_killed_costs_nothing(dataset: Dataset, tmp_path: Path) -> None:
    from ds2f.training.cluster import train_on_ray

    paired_dataset(dataset, 60)
    one, two, killed, done = tmp_path / "one", tmp_path / "two", list[int](), threading.Event()
    train("prior", dataset.path, one, SETTINGS)
    watch = threading.Thread(target=kill_a_worker, args=(two / "prior", done, killed))
    watch.start()
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        train_on_ray("prior", dataset.path, two, replace(SETTINGS, save_seconds=0.0), 2)
    finally:
        done.set()
        watch.join()
    assert len(killed) == 1
    assert signal.getsignal(signal.SIGINT) is on_ctrl_c
    assert signal.getsignal(signal.SIGTERM) is on_sigterm, "the next training here must hear of it"
    assert not (two / "ray").exists()
    ours, theirs = (load_file(folder / "model" / "prior.safetensors") for folder in (one, two))
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, atol=1e-3, rtol=1e-2)


def test_what_takes_seconds_is_not_sent_to_a_cluster(tmp_path: Path) -> None:
    from ds2f.training.cluster import train_on_ray

    with pytest.raises(UserError, match="takes seconds to train"):
        train_on_ray("attributes", tmp_path / "none.db", tmp_path, SETTINGS, 2)
