"""Seconds per generated face on this machine, model loaded, for several numbers of steps.

python benchmarks/generation.py [--model FOLDER]
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import torch

from ds2f.pipeline import Settings, Speech2Face


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    model = Speech2Face.from_pretrained(options.model, device="cpu")
    voices = model.prior.voice_mean.numpy()[None].repeat(8, 0)
    model.generate(voices[:1], [0], Settings(steps=2))
    print(f"{torch.get_num_threads()} threads, {model.size} px")
    for steps in (4, 10, 20, 50):
        for count in (1, 8):
            started = time.perf_counter()
            model.generate(voices[:count], range(count), Settings(steps=steps))
            print(f"{steps:3d} steps, {count} at once: {(time.perf_counter() - started) / count:.3f} s per face")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
