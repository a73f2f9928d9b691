"""Seconds per generated face on this machine, model loaded.

python benchmarks/generation.py [--model FOLDER | --recipe NAME] [--size PIXELS]

A recipe means a decoder of its size that has learnt nothing, and a fast one: what they cost is what trained ones cost.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from ds2f.config import Config, with_recipe
from ds2f.models import store
from ds2f.models.decoder import ALL_CONDITIONS, Decoder
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.training.decoder import decoder_config

REPEATS = 5


def untrained(recipe: str) -> Speech2Face:
    """The prior in the box, with decoders of a recipe's size."""
    config = decoder_config(with_recipe(Config(), recipe).train, ALL_CONDITIONS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store.save(folder, store.load_prior(store.shipped()), {})
        store.save(folder, Decoder(config), {})
        store.save(folder, Decoder(replace(config, few_steps=4)), {"teacher": store.digest(folder, "decoder")})
        model = Speech2Face.from_pretrained(folder, device="cpu")
        print(f"{recipe}: {sum(p.numel() for p in model.decoder.parameters()) / 1e6:.1f} M parameters")
        model.sample_faces(model.prior.voice_mean.numpy()[None], [0])  # reads all of the folder
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--model", type=Path)
    chosen.add_argument("--recipe")
    parser.add_argument("--size", type=int, help="of a model with decoders of several")
    options = parser.parse_args()
    if options.recipe:
        model = untrained(options.recipe)
    else:
        model = Speech2Face.from_pretrained(options.model, device="cpu", size=options.size)
    voices = model.prior.voice_mean.numpy()[None].repeat(8, 0)
    print(f"{torch.get_num_threads()} threads, {model.size} px")
    ways = {
        "as by default": SamplingSettings(),
        "4 steps": SamplingSettings(steps=4),
        "10 steps": SamplingSettings(fast=False),
    }
    for way, settings in ways.items():
        model.sample_faces(voices[:1], [0], settings)
        for count in (1, 8):
            started = time.perf_counter()
            for _ in range(REPEATS):
                model.sample_faces(voices[:count], range(count), settings)
            seconds = (time.perf_counter() - started) / REPEATS / count
            print(f"{way}, {count} at once: {seconds:.3f} s per face", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
