"""Do converted speaker encoders give the same output as the code that they come from? Random weights through both.

    git clone https://github.com/clovaai/voxceleb_trainer && git clone https://github.com/wenet-e2e/wespeaker
    pip install torchaudio        # which both compute features with; in an environment of its own
    python benchmarks/foreign_speakers.py --voxceleb-trainer voxceleb_trainer --wespeaker wespeaker

Prints for every network the largest difference in an embedding, relative to its largest number. Their networks, not
only ours, run here: the code of the two clones is executed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ds2f.models.speaker.foreign import load_foreign


def shaken(network: nn.Module) -> nn.Module:
    """With statistics other than the initial ones, with which many mistakes have no effect."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.2)
    return network.eval()


def of_trainer(clone: Path, sound: Tensor) -> Iterator[tuple[str, dict[str, Tensor], Tensor]]:
    """(name, state as it is saved, embedding) for its networks on sound."""
    sys.path.insert(0, str(clone))
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("ResNetSE34L, SAP", "ResNetSE34L", {"nOut": 512, "encoder_type": "SAP", "n_mels": 40}),
        ("ResNetSE34L, ASP", "ResNetSE34L", {"nOut": 256, "encoder_type": "ASP", "n_mels": 40}),
        ("ResNetSE34V2, ASP", "ResNetSE34V2", {"nOut": 512, "encoder_type": "ASP", "n_mels": 64}),
        ("ResNetSE34V2, SAP", "ResNetSE34V2", {"nOut": 128, "encoder_type": "SAP", "n_mels": 40}),
    ]
    for name, module, options in cases:
        network = shaken(import_module(f"models.{module}").MainModel(**options))
        yield name, {f"__S__.{k}": v for k, v in network.state_dict().items()}, network(sound)


def of_wespeaker(clone: Path, sound: Tensor) -> Iterator[tuple[str, dict[str, Tensor], Tensor]]:
    """The same for WeSpeaker's networks, with torchaudio's version of Kaldi's features computed as in its recipes."""
    kaldi = import_module("torchaudio.compliance.kaldi")
    package = clone / "wespeaker"
    sys.modules["wespeaker"] = bare = type(sys)("wespeaker")  # its own __init__ imports what is not needed here
    bare.__path__ = [str(package)]
    mel = kaldi.fbank(sound * 2**15, num_mel_bins=80, sample_frequency=16_000, window_type="hamming", dither=0.0)
    features = (mel - mel.mean(0))[None]
    for name, module, function, dim in (
        ("ResNet34", "resnet", "ResNet34", 256),
        ("ResNet18", "resnet", "ResNet18", 128),
        ("ECAPA-TDNN, global context", "ecapa_tdnn", "ECAPA_TDNN_GLOB_c512", 192),
        ("ECAPA-TDNN", "ecapa_tdnn", "ECAPA_TDNN_c512", 192),
        ("CAM++", "campplus", "CAMPPlus", 512),
    ):
        network = shaken(getattr(import_module(f"wespeaker.models.{module}"), function)(80, dim))
        made = network(features.clone())
        yield name, dict(network.state_dict()), made[-1] if isinstance(made, tuple) else made


@torch.no_grad()
def compare(theirs: Iterator[tuple[str, dict[str, Tensor], Tensor]], sound: Tensor) -> Iterator[tuple[str, float]]:
    """(name, largest difference over the largest number) for each."""
    for name, state, expected in theirs:
        with tempfile.TemporaryDirectory() as folder:
            torch.save(state, Path(folder) / "theirs.pt")
            ours, _ = load_foreign(Path(folder) / "theirs.pt")
        yield name, float((ours(sound) - expected).abs().max() / expected.abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxceleb-trainer", type=Path, required=True)
    parser.add_argument("--wespeaker", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    sound = nn.functional.avg_pool1d(0.3 * torch.randn(1, 1, 48_004), 5, stride=1)[0]
    for makers, clone in ((of_trainer, options.voxceleb_trainer), (of_wespeaker, options.wespeaker)):
        for name, difference in compare(makers(clone, sound), sound):
            print(f"{difference:.1e}   {name}")


if __name__ == "__main__":
    main()
