"""Loads weights trained by others into the networks here: voxceleb_trainer's, WeSpeaker's and 3D-Speaker's.

| origin | file | networks |
| --- | --- | --- |
| voxceleb_trainer | `model000000100.model`, `baseline_lite_ap.model` | ResNetSE34L, ResNetSE34V2 |
| wespeaker | `avg_model.pt`, `model_5.pt` | ResNet18 and 34, ECAPA-TDNN, CAM++ |
| 3d-speaker | `campplus_*.pt`, `*.bin` | CAM++ |

The network, its widths and its bands are inferred from the names and shapes of its tensors. Pickles are read by torch's
weights-only loader: tensors and plain containers, never code.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from ds2f.errors import UserError
from ds2f.io.files import make_folder
from ds2f.models.speaker import ORIGINS
from ds2f.models.speaker.campplus import BLOCKS
from ds2f.models.speaker.encoder import USUAL, NetworkName, VoiceConfig, VoiceNetwork
from ds2f.models.speaker.features import Features
from ds2f.models.store import save

TRAINER, WESPEAKER, THREE_D = ORIGINS
_WRAPPED = ("model_state_dict", "state_dict", "model", "embedding_model")  # keys under which trainers store the state
_AROUND = re.compile(r"^(?:module\.)?(?:__S__\.|front\.)?(?:module\.)?")  # processes of torch; voxceleb_trainer's own
_OTHER = re.compile(r"^(?:__L__|projection|instancenorm|torchfb)\.|num_batches_tracked$")  # losses, features, counts
_CODE = re.compile(r"GLOBAL ([\w.]+)")  # torch's message for a class that it refuses to load
_ALIKE = 1e-4  # tolerance for band weights; torchaudio and torch round differently


State = Mapping[str, Tensor]


class _Kind(NamedTuple):
    """A network as its tensors tell of it. known_by: names that no other network has; options, bins, dim: of its
    configuration, by names and shapes."""

    known_by: tuple[str, ...]
    network: NetworkName
    origin: str
    options: Callable[[State], dict[str, Any]]
    bins: Callable[[State], int]
    dim: Callable[[State], int]


def load_foreign(path: Path, origin: str | None = None) -> tuple[VoiceNetwork, str]:
    """A network with somebody else's weights, in `eval` mode, and who trained it, of ORIGINS.

    path: of a checkpoint, pickled by torch or in safetensors.
    origin: of ORIGINS, which decides the features where the weights do not; None: voxceleb_trainer for its networks,
        else WeSpeaker.
    Raises UserError for a file that cannot be read, holds code, or fits no network.
    """
    given = read_tensors(path)
    kind = next((kind for kind in _KINDS if all(name in given for name in kind.known_by)), None)
    if kind is None:
        some = ", ".join(list(given)[:3])
        raise UserError(
            f"{path} fits no network of ds2f (its tensors: {some}, ...); it takes ResNetSE34L and V2 of "
            "voxceleb_trainer, ResNet18 and 34, ECAPA-TDNN and CAM++ of WeSpeaker, and CAM++ of 3D-Speaker."
        )
    by = origin or kind.origin
    if (by == TRAINER) != (kind.origin == TRAINER) or (by == THREE_D and kind.network != "campplus"):
        raise UserError(f"{path} is a {kind.network}, which {by} does not train; leave --origin out.")
    try:
        features = _features(kind, given, by)
        config = VoiceConfig(kind.network, features, kind.dim(given), kind.options(given))
        network = VoiceNetwork(config)
        state = {
            name: value for name, value in _RENAMED.get(kind.network, dict)(given).items() if not _OTHER.search(name)
        }
        network.network.load_state_dict(_counted(network.network.state_dict(), state))
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} does not fit {kind.network} ({reason[:160]}).") from None
    _check_bands(path, network, given)
    return network.eval().requires_grad_(False), by


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The network's part of a checkpoint, by the names that it has there without what stands around them.

    Raises UserError for a file that cannot be read, or that holds anything but tensors and plain containers.
    """
    try:
        found = _loaded(path)
    except FileNotFoundError:
        raise UserError(f"There is no checkpoint {path}; check the path.") from None
    except (IsADirectoryError, PermissionError) as error:
        raise UserError(f"The checkpoint {path} cannot be read ({error.strerror}).") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, safetensors.SafetensorError) as error:
        code = _CODE.search(str(error))
        if code:
            raise UserError(
                f"{path} holds code ({code[1]}), which ds2f does not run; save its tensors alone where it was made: "
                "torch.save(model.state_dict(), FILE)."
            ) from None
        raise UserError(f"{path} is not a torch or safetensors checkpoint, or it is damaged.") from None
    while isinstance(found, dict) and not any(isinstance(value, Tensor) for value in found.values()):
        inside = next((found[key] for key in _WRAPPED if key in found), None)
        if inside is None:
            break
        found = inside
    tensors = {k: v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, dict) else {}
    if not tensors:
        raise UserError(f"{path} contains no network state (a dictionary of tensors by name).")
    return {_AROUND.sub("", name): value for name, value in tensors.items() if not name.startswith("__L__.")}


def _loaded(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings():  # about pickles not written by torch, which it then refuses
        warnings.simplefilter("ignore")
        return torch.load(path, "cpu", weights_only=True)


def convert(path: Path, folder: Path, origin: str | None = None, licence: str = "") -> tuple[VoiceNetwork, str]:
    """Convert somebody else's weights to a speaker encoder of ds2f: voice.safetensors, and voice.json with its
    features. Returns the network and its origin.

    path: as in `load_foreign`.
    folder: to write to; created if missing.
    origin: as in `load_foreign`.
    licence: of the weights, recorded in voice.json.
    Raises UserError as `load_foreign` does, and for a folder that already contains a speaker encoder.
    """
    if (folder / "voice.json").exists():
        raise UserError(f"{folder} holds a speaker encoder already; choose another --out.")
    network, by = load_foreign(path, origin)
    make_folder(folder)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = {"origin": by, "source": path.name, "sha256": digest, "licence": licence or "of whoever trained it"}
    save(folder, network, card, "float32")
    return network, by


def _features(kind: _Kind, given: State, origin: str) -> Features:
    """The origin's features, with the bands and pre-emphasis that the weights imply."""
    usual = USUAL[kind.network][1]
    bins = kind.bins(given)
    if origin == TRAINER:
        coefficient = next(
            (round(-float(v.flatten()[0]), 6) for k, v in given.items() if k.endswith("flipped_filter")), None
        )
        return Features(
            "stft", bins, usual.window, 1.0, usual.preemphasis if coefficient is None else coefficient, "instance"
        )
    if origin == THREE_D:
        return Features("kaldi", bins, "povey")
    return Features("kaldi", bins, "hamming", 32768.0)


def _check_bands(path: Path, network: VoiceNetwork, given: State) -> None:
    """voxceleb_trainer's files contain the mel bands they were trained on."""
    theirs = next((value for name, value in given.items() if name.endswith("mel_scale.fb")), None)
    if theirs is None:
        return
    ours = network.features.bank
    if theirs.shape != ours.shape or float((theirs - ours).abs().max()) > _ALIKE:
        raise UserError(f"{path} was trained on other mel bands than those of voxceleb_trainer, {tuple(theirs.shape)}.")


def _counted(ours: State, state: State) -> dict[str, Tensor]:
    """Adds the batch counts, which a trained network does not need."""
    return {**{name: value for name, value in ours.items() if name.endswith("num_batches_tracked")}, **state}


def _mel_bands(given: State, usual: int) -> int:
    return next((int(v.shape[1]) for k, v in given.items() if k.endswith("mel_scale.fb")), usual)


def _stage_bins(given: State, width: int, channels: int) -> int:
    """The number of bands for which a network with three halvings has this many channels."""
    return 8 * channels // (8 * width)


def _blocks(given: State) -> tuple[int, ...]:
    names = [re.match(r"layer(\d)\.(\d+)\.", name) for name in given]
    found = [(int(m[1]), int(m[2])) for m in names if m]
    return tuple(1 + max(block for stage, block in found if stage == number) for number in range(1, 5))


def _no_bottlenecks(given: State) -> dict[str, Any]:
    if any(".conv3." in name for name in given) or "seg_2.weight" in given:
        raise ValueError("ds2f has it without bottlenecks and with one layer of the embedding: ResNet18 and ResNet34")
    return {"width": int(given["conv1.weight"].shape[0]), "blocks": _blocks(given)}


def _ecapa(given: State) -> dict[str, Any]:
    if "bn2.weight" in given:
        raise ValueError("ds2f has it without a normalised embedding (emb_bn)")
    last = int(given["conv.weight"].shape[0])
    context = int(given["pool.linear1.weight"].shape[1]) == 3 * last
    return {"width": int(given["layer1.conv.weight"].shape[0]), "last": last, "context": context}


_KINDS = (
    _Kind(
        ("sap_linear.weight", "attention", "fc.weight"),
        "resnetse34l",
        TRAINER,
        lambda g: {"width": g["conv1.weight"].shape[0], "spread": g["fc.weight"].shape[1] > g["attention"].shape[0]},
        lambda g: _mel_bands(g, 40),
        lambda g: int(g["fc.weight"].shape[0]),
    ),
    _Kind(
        ("attention.0.weight", "attention.3.weight", "fc.weight"),
        "resnetse34v2",
        TRAINER,
        lambda g: {
            "width": g["conv1.weight"].shape[0],
            "spread": g["fc.weight"].shape[1] > g["attention.0.weight"].shape[1],
        },
        lambda g: _mel_bands(g, _stage_bins(g, g["conv1.weight"].shape[0], g["attention.0.weight"].shape[1])),
        lambda g: int(g["fc.weight"].shape[0]),
    ),
    _Kind(
        ("conv1.weight", "seg_1.weight"),
        "resnet34",
        WESPEAKER,
        _no_bottlenecks,
        lambda g: _stage_bins(g, g["conv1.weight"].shape[0], g["seg_1.weight"].shape[1] // 2),
        lambda g: int(g["seg_1.weight"].shape[0]),
    ),
    _Kind(
        ("layer1.conv.weight", "pool.linear1.weight", "linear.weight"),
        "ecapa-tdnn",
        WESPEAKER,
        _ecapa,
        lambda g: int(g["layer1.conv.weight"].shape[1]),
        lambda g: int(g["linear.weight"].shape[0]),
    ),
    _Kind(
        ("head.conv1.weight", "xvector.tdnn.linear.weight", "xvector.dense.linear.weight"),
        "campplus",
        WESPEAKER,
        lambda g: {"normed": True},
        lambda g: 8 * int(g["xvector.tdnn.linear.weight"].shape[1]) // int(g["head.conv1.weight"].shape[0]),
        lambda g: int(g["xvector.dense.linear.weight"].shape[0]),
    ),
)


def _campplus(given: State) -> dict[str, Tensor]:
    """WeSpeaker's and 3D-Speaker's names for CAM++ to those of `campplus.CAMPlusPlus`, whose normalised convolutions
    have a bias, which is zero."""
    found: dict[str, Tensor] = {}

    def norm(ours: str, theirs: str) -> None:
        found.update({f"{ours}.{k.rpartition('.')[2]}": v for k, v in given.items() if k.startswith(f"{theirs}.")})

    def layer(ours: str, theirs: str, after: str) -> None:
        weight = given[f"{theirs}.weight"]
        found[f"{ours}.layer.weight"] = weight
        found[f"{ours}.layer.bias"] = torch.zeros(weight.shape[0])
        norm(f"{ours}.norm", after)

    layer("head.0", "head.conv1", "head.bn1")
    for i, name in enumerate(("layer1.0", "layer1.1", "layer2.0", "layer2.1"), 2):
        layer(f"head.{i}.first", f"head.{name}.conv1", f"head.{name}.bn1")
        layer(f"head.{i}.second", f"head.{name}.conv2", f"head.{name}.bn2")
        if f"head.{name}.shortcut.0.weight" in given:
            layer(f"head.{i}.short", f"head.{name}.shortcut.0", f"head.{name}.shortcut.1")
    layer("head.6", "head.conv2", "head.bn2")
    layer("enter", "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm")
    for b, (layers, _) in enumerate(BLOCKS):
        for i in range(layers):
            ours, theirs = f"blocks.{b}.{i}", f"xvector.block{b + 1}.tdnnd{i + 1}"
            norm(f"{ours}.before", f"{theirs}.nonlinear1.batchnorm")
            layer(f"{ours}.narrow", f"{theirs}.linear1", f"{theirs}.nonlinear2.batchnorm")
            found[f"{ours}.local.weight"] = given[f"{theirs}.cam_layer.linear_local.weight"]
            for mine, part in (("context", "linear1"), ("mask", "linear2")):
                for what in ("weight", "bias"):
                    found[f"{ours}.{mine}.{what}"] = given[f"{theirs}.cam_layer.{part}.{what}"]
        norm(f"transits.{b}.0", f"xvector.transit{b + 1}.nonlinear.batchnorm")
        found[f"transits.{b}.2.weight"] = given[f"xvector.transit{b + 1}.linear.weight"]
    norm("last", "xvector.out_nonlinear.batchnorm")
    layer("leave", "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")
    found["leave.layer.weight"] = found["leave.layer.weight"].flatten(1)
    return found


_RENAMED: dict[str, Callable[[State], Mapping[str, Tensor]]] = {"campplus": _campplus}
