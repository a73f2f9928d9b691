"""Seconds per generated face on this machine, model loaded.

python benchmarks/generation.py [--model FOLDER]
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import torch

from ds2f.pipeline import Settings, Speech2Face

REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    model = Speech2Face.from_pretrained(options.model, device="cpu")
    voices = model.prior.voice_mean.numpy()[None].repeat(8, 0)
    print(f"{torch.get_num_threads()} threads, {model.size} px")
    ways = {"as by default": Settings(), "4 steps": Settings(steps=4), "10 steps": Settings(fast=False)}
    for way, settings in ways.items():
        model.generate(voices[:1], [0], settings)
        for count in (1, 8):
            started = time.perf_counter()
            for _ in range(REPEATS):
                model.generate(voices[:count], range(count), settings)
            seconds = (time.perf_counter() - started) / REPEATS / count
            print(f"{way}, {count} at once: {seconds:.3f} s per face", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
