"""Seconds per generated face on this machine, with the model loaded.

    python benchmarks/generation.py [--model FOLDER | --recipe NAME] [--size PIXELS] [--device cuda] [--batch 1 8 64]

A recipe stands for an untrained decoder of its size, and a fast one: they cost the same as trained ones.
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
from ds2f.models import folders, store
from ds2f.models.decoder import ALL_CONDITIONS, Decoder
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.training.decoder import decoder_config

REPEATS = 5


def untrained(recipe: str, device: str) -> Speech2Face:
    """The bundled prior, with decoders of a recipe's size."""
    config = decoder_config(with_recipe(Config(), recipe).train, ALL_CONDITIONS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store.save(folder, store.load_prior(folders.shipped()), {})
        store.save(folder, Decoder(config), {})
        store.save(folder, Decoder(replace(config, few_steps=4)), {"teacher": folders.digest(folder, "decoder")})
        model = Speech2Face.from_pretrained(folder, device=device)
        print(f"{recipe}: {sum(p.numel() for p in model.decoder.parameters()) / 1e6:.1f} M parameters")
        model.sample_faces(model.prior.voice_mean.cpu().numpy()[None], [0])  # loads everything in the folder
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--model", type=Path)
    chosen.add_argument("--recipe")
    parser.add_argument("--size", type=int, help="of a model with decoders of several")
    parser.add_argument("--device", default="cpu", help="as PyTorch names it")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="faces at once")
    options = parser.parse_args()
    if options.recipe:
        model = untrained(options.recipe, options.device)
    else:
        model = Speech2Face.from_pretrained(options.model, device=options.device, size=options.size)
    voices = model.prior.voice_mean.cpu().numpy()[None].repeat(max(options.batch), 0)
    print(f"{model.device}, {torch.get_num_threads()} threads, {model.size} px")
    started = time.perf_counter()
    model.sample_faces(voices[:1], [0])
    print(f"the first face: {time.perf_counter() - started:.2f} s")
    ways = {
        "as by default": SamplingSettings(),
        "4 steps": SamplingSettings(steps=4),
        "10 steps": SamplingSettings(fast=False),
    }
    for way, settings in ways.items():
        model.sample_faces(voices[:1], [0], settings)
        for count in options.batch:
            started = time.perf_counter()
            for _ in range(REPEATS):
                model.sample_faces(voices[:count], range(count), settings)
            seconds = (time.perf_counter() - started) / REPEATS / count
            print(f"{way}, {count} at once: {seconds:.4f} s per face, {1 / seconds:.1f} a second", flush=True)
    if model.device.type == "cuda":
        print(f"peak memory of the GPU {torch.cuda.max_memory_allocated() // 2**20} MiB")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
