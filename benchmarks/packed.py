"""Training from a file of packed faces compared with training from memory: processor time per step, in turns, and the
memory of each of several processes. The faces are noise: only reading is measured.

    python benchmarks/packed.py [--gigabytes 3] [--processes 2] [--size 128] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ds2f.config import Train
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import Decoder
from ds2f.training.decoder import DecoderTask, decoder_config
from ds2f.training.faces import FaceData, Faces, PackedFaces
from ds2f.training.loop import Options, accumulate
from ds2f.training.packed import pack
from ds2f.training.processes import accelerator_for
from ds2f.training.reading import GIVEN

DIMS = {"identity": 128, "coverage": 1, "voice:campplus-frames": 512, "age": 1, "gender": 1, "ethnicity": 5}
BLOCK, BATCH, STEPS, ROUNDS = 512, 32, 6, 5


class Noise:
    """See `packed.Source`."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        fields = [field for name, d in DIMS.items() for field in ((name, "<f4", (d,)), (GIVEN + name, "?"))]
        self.dtype = np.dtype(fields)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (BLOCK, 3, self.size, self.size), np.uint8)
        for start in range(0, self.count, BLOCK):
            rows = np.zeros(min(BLOCK, self.count - start), self.dtype)
            for name in DIMS:
                rows[name], rows[GIVEN + name] = rng.standard_normal(rows[name].shape, np.float32), True
            rows["coverage"] = 1
            yield np.roll(pixels, start // BLOCK, 0)[: len(rows)], rows

    def finish(self) -> list[str]:
        return list(DIMS)

    def fill(self, known: np.ndarray) -> bool:
        return False


def task_of(faces: Faces, size: int) -> DecoderTask:
    torch.manual_seed(0)
    settings = Train(decoder_size=size, decoder_width=128, decoder_depth=2)
    few = torch.arange(8)
    held_out = FaceData(faces.images(few), faces.known(few))
    return DecoderTask(Decoder(decoder_config(settings, dict(faces.dims))), faces, held_out, torch.device("cpu"))


def step(task: DecoderTask, options: Options, number: int) -> float:
    """Processor seconds of forward and backward."""
    started = time.process_time()
    accumulate(task, options, number, accelerator_for(torch.device("cpu")))
    return time.process_time() - started


def memory() -> dict[str, float]:
    """MB of this process: all, its share of shared memory, and what is neither shared nor mapped from a file."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {"RSS": found["Rss"], "PSS": found["Pss"], "anonymous": found["Anonymous"]}


def one_of_several(folder: Path, count: int, size: int, number: int) -> None:
    torch.set_num_threads(1)
    faces = opened(folder, count, size)
    before = memory()
    task = task_of(faces, size)
    options = options_of()
    steps = 40
    for k in range(steps):
        step(task, options, k * 7 + number)
    after = memory()
    said = ", ".join(f"{what} {after[what]:,.0f} MB ({before[what]:,.0f} before its model)" for what in after)
    print(f"process {number}, after {steps * BATCH:,} faces and the statistics of all: {said}", flush=True)


def options_of() -> Options:
    return Options(Path(), batch=BATCH, total=10**9, lr=1e-3, seed=0, save_seconds=1e9)


def opened(folder: Path, count: int, size: int) -> PackedFaces:
    return PackedFaces(pack(folder, f"noise-{size}", [], count, (3, size, size), Noise(count, size)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--folder", type=Path, help="for the file (default: the temporary folder)")
    options = parser.parse_args()
    size, count = options.size, int(options.gigabytes * 1e9 / (3 * options.size**2))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        started = time.perf_counter()
        opened(folder, count, size)
        print(
            f"{count:,} faces of {size} px, {options.gigabytes:g} GB: packed in {time.perf_counter() - started:.0f} s"
        )
        context = multiprocessing.get_context("spawn")
        several = [
            context.Process(target=one_of_several, args=(folder, count, size, number))
            for number in range(options.processes)
        ]
        for process in several:
            process.start()
        for process in several:
            process.join()
        packed = opened(folder, count, size)
        rows = torch.arange(count)
        parts = [(packed.images(part), packed.known(part)) for part in rows.split(4096)]
        known = {
            name: Condition(torch.cat([k[name].value for _, k in parts]), torch.cat([k[name].given for _, k in parts]))
            for name in DIMS
        }
        held = FaceData(torch.cat([images for images, _ in parts]), known)
        del parts
        tasks = {"memory": task_of(held, size), "file": task_of(packed, size)}
        spent = {name: [0.0] * ROUNDS for name in tasks}
        for turn in range(ROUNDS):
            for k in range(STEPS):
                for name, task in tasks.items():
                    spent[name][turn] += step(task, options_of(), turn * STEPS + k)
        ratios = sorted(m / f for m, f in zip(spent["memory"], spent["file"], strict=True))
        rate = ROUNDS * STEPS * BATCH / sum(spent["file"])
        print(
            f"{rate:,.0f} faces a second of one core from the file, {ratios[ROUNDS // 2]:.3f} of the rate from memory "
            f"({ratios[0]:.3f} to {ratios[-1]:.3f} in {ROUNDS} rounds)"
        )


if __name__ == "__main__":
    main()
