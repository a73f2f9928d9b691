from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ds2f.config import Config
from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.errors import UserError
from ds2f.extract.engines.base import Load, Outcome
from ds2f.extract.engines.local import local_processes, starting_workers
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import ExtractSettings
from ds2f.extract.worker import work
from helpers import (
    extracted,
    grey_ramp,
    item_of,
    jobs,
    make_as_on_windows,
    make_fake_extract,
    make_that_dies,
    make_that_fails,
    tone,
    write_video,
)

SETTINGS = ExtractSettings.of(Config())


def test_workers_leave_ctrl_c_alone_before_they_have_imported_anything() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with starting_workers():
            seen = pool.submit(signal.getsignal, signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == before
        assert seen.result(timeout=120) == signal.SIG_IGN


def _outcomes(count: int, load: Load, **special: frozenset[int]) -> dict[int, Outcome]:
    outcomes = list(local_processes(iter(jobs(count)), partial(make_fake_extract, **special), load))
    assert len(outcomes) == count, "every job has exactly one outcome"
    return {outcome.job.video_id: outcome for outcome in outcomes}


def _reason(outcome: Outcome) -> tuple[str, str]:
    (failure,) = outcome.result.failures
    return failure


def test_results_and_reasons_come_back_and_a_worker_that_dies_takes_down_only_its_own_file() -> None:
    """Two of one batch kill their worker, two fail, one in each batch is as it should be."""
    found = _outcomes(9, Load(2, 4), refused=frozenset({1}), broken=frozenset({4}), deadly=frozenset({5, 7}))
    assert _reason(found[1]) == ("speech", "no speech found")
    assert _reason(found[4]) == ("worker", "unexpected ZeroDivisionError: division by zero")
    for number in (5, 7):
        assert _reason(found[number]) == ("worker", "the worker process died on this file")
    for number in (0, 2, 3, 6, 8):
        face, expected = found[number].result.face, extracted(number).face
        assert face is not None
        assert expected is not None
        np.testing.assert_array_equal(face.identity, expected.identity)


def test_a_worker_dying_on_the_last_and_only_file() -> None:
    assert _reason(_outcomes(1, Load(), deadly=frozenset({0}))[0])[0] == "worker"


def test_a_model_that_cannot_be_loaded_stops_the_run_and_blames_no_file() -> None:
    with pytest.raises(UserError, match="face_recognition_models is missing"):
        list(local_processes(jobs(3), make_that_fails, Load()))


def test_a_worker_that_dies_while_it_loads_ends_the_run_and_blames_no_file() -> None:
    with pytest.raises(UserError, match="died while it loaded its models"):
        list(local_processes(jobs(3), make_that_dies, Load(2)))


@pytest.mark.parametrize("error", [UserError("run: pip install 'ds2f[titanet]'"), ImportError("no module nemo")])
def test_a_model_that_is_missing_when_first_needed_blames_no_file_either(error: Exception) -> None:
    def extract(jobs: object) -> None:
        raise error

    with pytest.raises(type(error), match=r"nemo|titanet"):
        work(extract, jobs(2), 1.0)  # type: ignore[arg-type]


def test_jobs_are_drawn_as_workers_need_them() -> None:
    drawn = []

    def source():  # type: ignore[no-untyped-def]
        for job in jobs(50):
            drawn.append(job)
            yield job

    outcomes = local_processes(source(), make_fake_extract, Load(1, batch=2))
    next(outcomes)
    assert len(drawn) < 15, "a million jobs must not lie in memory"
    outcomes.close()  # type: ignore[attr-defined]


def test_a_file_that_takes_too_long_is_a_failure_and_its_neighbours_are_not() -> None:
    started = time.monotonic()
    results = work(make_fake_extract(slow=frozenset({1})), jobs(3), item_seconds=0.3)
    assert time.monotonic() - started < 10
    assert [r.failures for r in results] == [(), (("worker", "took longer than 0.3 s"),), ()]


def test_a_file_that_takes_too_long_where_there_are_no_alarms_and_processes_do_not_fork(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows: the worker is ended, and a fresh one goes on."""
    monkeypatch.delattr(os, "fork")
    make = partial(make_as_on_windows, slow=frozenset({0}))
    (outcome,) = local_processes(iter(jobs(1)), make, Load(item_seconds=0.2))
    assert _reason(outcome) == ("worker", "the worker process died on this file")


def test_ctrl_c_is_not_a_failure_of_the_file() -> None:
    def interrupted(jobs: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(interrupted, jobs(1), 1.0)  # type: ignore[arg-type]


def test_bad_files_become_rows_and_the_run_goes_on(tmp_path: Path) -> None:
    write_video(tmp_path / "mute.mp4", grey_ramp(5))
    write_video(tmp_path / "tone.mp4", grey_ramp(10), tone(2.0))
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam")
    names = ["mute.mp4", "tone.mp4", "empty.mp4", "letter.mp4", "deleted.mp4"]
    database = tmp_path / "dataset.db"
    with Dataset(database, create=True) as dataset:
        dataset.add_items(tmp_path, "video", [item_of(tmp_path / name) for name in names], SplitRule())
    seen: list[tuple[object, ...]] = []
    summary = extract_missing(database, SETTINGS, Load(1), progress=lambda *told: seen.append(told))
    assert (summary.done, summary.failed) == (0, 5)
    assert seen == [(0, 5), *((done, 5, f"{done} failed") for done in range(1, 6))]
    with Dataset(database) as dataset:
        reasons = {stage: reason for stage, reason, _ in dataset.failure_counts()}
        assert reasons["audio"] == "a video without sound"
        assert {"open", "audio", "speech", "face"} == set(reasons), "what fails in two ways says both"
    again = extract_missing(database, SETTINGS)
    assert (again.done, again.failed) == (0, 0), "failed files are not tried again unasked"


def test_real_clips_go_all_the_way(tmp_path: Path, shared_data: Path) -> None:
    from ds2f.corpora.scan import scan

    folder = tmp_path / "avspeech"
    folder.mkdir()
    for source in sorted((shared_data / "videos" / "avspeech").glob("*.mp4"))[:5]:
        (folder / source.name).symlink_to(source)
    database = tmp_path / "dataset.db"
    with Dataset(database, create=True) as dataset:
        assert dataset.add_items(folder, "video", scan(folder, "video"), SplitRule()) == (5, 0)
    summary = extract_missing(database, SETTINGS, Load(2, 2))
    assert summary.done + summary.failed == 5
    assert summary.done >= 2
    with Dataset(database) as dataset:
        pairs = dataset.pairs()
    assert len(pairs) == summary.done
    assert all(pair.corpus == "avspeech" for pair in pairs)


def test_a_worker_keeps_to_one_thread_in_libraries_loaded_before_and_after() -> None:
    program = (
        "import numpy; from ds2f.extract.worker import prepare_process; prepare_process();"
        "import scipy.linalg, torch; from threadpoolctl import threadpool_info;"
        "print({found['num_threads'] for found in threadpool_info()}, torch.get_num_threads())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["{1}", "1"]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_a_worker_keeps_memory_that_it_freed() -> None:
    """Pages that the kernel clears, when 16 MB are written for the first time and, freed meanwhile, for the second."""
    program = (
        "import ctypes, resource; from ds2f.extract.worker import keep_freed_memory; keep_freed_memory()\n"
        "libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; libc.free.argtypes = [ctypes.c_void_p]\n"
        "for _ in range(2):\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    block = libc.malloc(2**24); ctypes.memset(block, 1, 2**24); libc.free(block)\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
        "print(hasattr(libc, 'mallopt'))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    first, second, glibc = said.split()
    assert int(second) < 100 or glibc == "False", f"{first} and {second}"
