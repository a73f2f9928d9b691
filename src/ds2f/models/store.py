"""Model files: safetensors for tensors, JSON for everything else, never pickle. `models.folders` describes the
layout."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ds2f.errors import UserError
from ds2f.io.extras import first_line
from ds2f.io.files import from_json, replacing, write_json
from ds2f.models.alignment import Alignment, AlignmentConfig
from ds2f.models.attributes import AttributeHead, AttributesConfig
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.folders import FORMAT, SUPER_RESOLUTION, description, digest
from ds2f.models.folders import Drawing as Drawing
from ds2f.models.folders import fingerprint as fingerprint
from ds2f.models.folders import own_size as own_size
from ds2f.models.folders import shipped as shipped
from ds2f.models.packing import Precision, packed, unpacked
from ds2f.models.prior import Prior, PriorConfig
from ds2f.models.speaker.encoder import VoiceConfig, VoiceNetwork
from ds2f.models.super_resolution import SuperResolution, SuperResolutionConfig

Model = Decoder | SuperResolution | Prior | AttributeHead | Alignment | VoiceNetwork
Module = TypeVar("Module", bound=nn.Module)
Config = TypeVar("Config")
logger = logging.getLogger(__name__)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes the complete file or nothing, like `io.files.write_json`."""
    with replacing(path) as aside:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, aside)
        aside.chmod(0o644)  # safetensors creates files that only the owner may read


def save(
    folder: Path,
    module: Model,
    card: dict[str, Any],
    precision: Precision = "float16",
    beside: Mapping[str, Tensor] = MappingProxyType({}),
) -> None:
    """Write one model.

    folder: created if missing.
    module: the model.
    card: facts for readers (data, images seen, date, licence).
    precision: how weights are stored, see `packed`; loading converts them back.
    beside: tensors to omit where they would be stored identically, see `shared`.
    Raises UserError for numbers that are not finite.
    """
    kind = _kind(module)
    folder.mkdir(parents=True, exist_ok=True)
    stored = packed(module.state_dict(), precision)
    if wrong := [name for name, value in stored.items() if not value.isfinite().all()]:
        raise UserError(
            f"The {kind} cannot be written: {wrong[0]} holds numbers that are not finite. Its learning rate may be too "
            "high, or what it learnt from copies of few files."
        )
    same = {name for name, value in beside.items() if name in stored and torch.equal(stored[name], value)}
    stored = {name: value for name, value in stored.items() if name not in same}
    write_tensors(folder / f"{kind}.safetensors", stored)
    told = {"format": FORMAT, "kind": kind, "config": asdict(module.config), "card": card}
    write_json(folder / f"{kind}.json", told)


def load_decoder(folder: Path) -> Decoder:
    """Raises UserError if the folder holds no decoder, or one that does not fit."""
    return _load(folder, "decoder", Decoder, DecoderConfig)


def load_fast_decoder(folder: Path) -> Decoder | None:
    """None if the folder has no fast decoder, or one distilled from another decoder. Raises UserError if it is
    broken."""
    if not (folder / "fast-decoder.json").exists():
        return None
    if description(folder, "fast-decoder")["card"].get("teacher") != digest(folder, "decoder"):
        logger.warning("The fast decoder in %s was taught by another decoder; run: ds2f train fast-decoder", folder)
        return None
    return _load(folder, "fast-decoder", Decoder, DecoderConfig)


def shared(folder: Path) -> dict[str, Tensor]:
    """What a fast decoder may omit where it is the same in the decoder of its folder, as stored: {name: tensor}."""
    return load_file(folder / "decoder.safetensors")


def load_super_resolution(folder: Path) -> SuperResolution:
    """Raises UserError if the folder holds no super-resolution, or one that does not fit."""
    return _load(folder, SUPER_RESOLUTION, SuperResolution, SuperResolutionConfig)


def load_prior(folder: Path) -> Prior:
    """Raises UserError if the folder holds no prior, or one that does not fit."""
    return _load(folder, "prior", Prior, PriorConfig, upgrade=_upgrade_prior, since=("spread",))


def load_attributes(folder: Path) -> AttributeHead:
    """Raises UserError if the folder holds no attribute model, or one that does not fit."""
    return _load(folder, "attributes", AttributeHead, AttributesConfig)


def load_alignment(folder: Path) -> Alignment:
    """Raises UserError if the folder holds no alignment, or one that does not fit."""
    return _load(folder, "alignment", Alignment, AlignmentConfig)


def load_voice(folder: Path) -> VoiceNetwork:
    """Raises UserError if the folder holds no speaker encoder, or one that does not fit."""
    return _load(folder, "voice", VoiceNetwork, VoiceConfig)


def _upgrade_prior(config: dict[str, Any]) -> dict[str, Any]:
    """A prior's configuration in today's form; older ones name a single encoder."""
    now = {key: value for key, value in config.items() if key not in ("looks", "voice_encoder", "voice_dim")}
    if config.get("looks"):
        raise ValueError("it was trained with looks, which priors no longer support; train it again")
    return now | ({"voices": {config["voice_encoder"]: config["voice_dim"]}} if "voice_dim" in config else {})


def _kind(module: Model) -> str:
    if isinstance(module, Decoder):
        return "fast-decoder" if module.config.few_steps else "decoder"
    kinds = {
        SuperResolution: SUPER_RESOLUTION,
        Prior: "prior",
        AttributeHead: "attributes",
        Alignment: "alignment",
        VoiceNetwork: "voice",
    }
    return kinds[type(module)]


def _load(
    folder: Path,
    kind: str,
    network: Callable[[Config], Module],
    config: type[Config],
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    since: Sequence[str] = (),
) -> Module:
    """upgrade: an older file's configuration to today's; since: tensors that older files lack; a new module's values
    for them have no effect."""
    stated = description(folder, kind)["config"]
    path = folder / f"{kind}.safetensors"
    try:
        module = network(from_json(config, upgrade(stated)))
        stored = load_file(path)
        if kind == "fast-decoder" and not module.state_dict().keys() <= stored.keys():
            stored = shared(folder) | stored
        fresh = {name: tensor for name, tensor in module.state_dict().items() if name in since}
        module.load_state_dict(fresh | unpacked(stored))
    except FileNotFoundError:
        raise UserError(
            f"The model folder {folder} has {kind}.json but no {kind}.safetensors; copy it there, too."
        ) from None
    except (RuntimeError, TypeError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise UserError(
            f"The checkpoint {path} does not fit this version of the {kind} ({first_line(error)})."
        ) from None
    return module.eval().requires_grad_(False)


def pick_device(wanted: str) -> torch.device:
    """auto: CUDA or ROCm if available, then Apple's MPS, else the CPU. Raises UserError for an unknown device."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"The device {wanted!r} is not usable here ({first_line(error)}); try cpu.") from None
    return device
