"""Model files: safetensors for the numbers, JSON for the rest, never pickle. A model is a folder:

decoder.safetensors  decoder.json  prior.safetensors  prior.json  and so on: fast-decoder, attributes, alignment

Decoders of further sizes, each with the fast one that it taught, lie in folders named by their pixels: 64/decoder.json
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ds2f.errors import UserError
from ds2f.io.files import from_json, replacing, write_json
from ds2f.models.alignment import Alignment, AlignmentConfig
from ds2f.models.attributes import AttributeHead, AttributesConfig
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.packing import Precision, packed, unpacked
from ds2f.models.prior import Prior, PriorConfig

FORMAT = 1
Model = Decoder | Prior | AttributeHead | Alignment
logger = logging.getLogger(__name__)


def shipped() -> Path:
    """The folder of the model that comes with the package."""
    return Path(str(files("ds2f") / "weights"))


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """All of them or nothing, as `io.files.write_json`."""
    with replacing(path) as aside:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, aside)
        aside.chmod(0o644)  # safetensors writes files that nobody else may read


def save(
    folder: Path,
    module: Model,
    card: dict[str, Any],
    precision: Precision = "float16",
) -> None:
    """Write one model into `folder`. card: what a reader should know (data, images seen, date, licence).

    precision: how weights are stored, see `packed`; loading widens them again.
    """
    kind = _kind(module)
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / f"{kind}.safetensors", packed(module.state_dict(), precision))
    description = {"format": FORMAT, "kind": kind, "config": asdict(module.config), "card": card}
    write_json(folder / f"{kind}.json", description)


def decoders(folder: Path) -> dict[int, Path]:
    """{pixels: folder} of a model's decoders, its own first. Raises UserError if it has none, or a broken one."""
    places = [folder, *sorted(found.parent for found in folder.glob("[0-9]*/decoder.json"))]
    return {int(description(place, "decoder")["config"]["size"]): place for place in places}


def decoder_of_size(folder: Path, size: int | None) -> Path:
    """Where the model's decoder of a size lies; None = its own. Raises UserError if there is none."""
    if size is None:
        return folder
    found = decoders(folder)
    if size not in found:
        drawn = " and ".join(str(pixels) for pixels in sorted(found))
        raise UserError(f"The model in {folder} draws faces of {drawn} px, not {size}; give another size, or none.")
    return found[size]


def load_decoder(folder: Path) -> Decoder:
    """Raises UserError if the folder holds no decoder, or one that does not fit."""
    return _load(folder, "decoder", lambda config: Decoder(from_json(DecoderConfig, config)))


def load_fast_decoder(folder: Path) -> Decoder | None:
    """None if the folder has no fast decoder, or one that another decoder taught. Raises UserError if it is broken."""
    if not (folder / "fast-decoder.json").exists():
        return None
    if description(folder, "fast-decoder")["card"].get("teacher") != digest(folder, "decoder"):
        logger.warning("The fast decoder in %s was taught by another decoder; run: ds2f train fast-decoder", folder)
        return None
    return _load(folder, "fast-decoder", lambda config: Decoder(from_json(DecoderConfig, config)))


def load_prior(folder: Path) -> Prior:
    """Raises UserError if the folder holds no prior, or one that does not fit."""
    return _load(folder, "prior", lambda config: Prior(from_json(PriorConfig, _of_before(config))))


def load_attributes(folder: Path) -> AttributeHead:
    """Raises UserError if the folder holds no attribute model, or one that does not fit."""
    return _load(folder, "attributes", lambda config: AttributeHead(from_json(AttributesConfig, config)))


def load_alignment(folder: Path) -> Alignment:
    """Raises UserError if the folder holds no alignment, or one that does not fit."""
    return _load(folder, "alignment", lambda config: Alignment(from_json(AlignmentConfig, config)))


def _of_before(config: dict[str, Any]) -> dict[str, Any]:
    """A prior's configuration, also from when a prior heard one encoder."""
    now = {key: value for key, value in config.items() if key not in ("looks", "voice_encoder", "voice_dim")}
    if config.get("looks"):
        raise ValueError("it was taught looks, which a prior no longer is; train it anew")
    return now | ({"voices": {config["voice_encoder"]: config["voice_dim"]}} if "voice_dim" in config else {})


def description(folder: Path, kind: str) -> dict[str, Any]:
    """The JSON beside the weights of `kind` ("decoder", "fast-decoder", "prior", "attributes" or "alignment")."""
    path = folder / f"{kind}.json"
    if not folder.is_dir():
        raise UserError(f"There is no model folder {folder}; give another --model, or none for the shipped one.")
    if not path.is_file():
        raise UserError(f"The model folder {folder} has no {kind.replace('-', ' ')}; make it with: ds2f train {kind}")
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("kind") != kind:
        raise UserError(f"{path} does not describe a ds2f {kind} of format {FORMAT}.")
    return data


def fingerprint(folder: Path, decoder: Path | None = None) -> str:
    """Short hash of all weights that draw: two pictures with the same one come from the same model. decoder: the
    folder of the decoder, if it is another."""
    decoder = decoder or folder
    files = [decoder / "decoder", folder / "prior", decoder / "fast-decoder", folder / "attributes"]
    weights = [file.with_suffix(".safetensors") for file in files]
    return _hash(file for file in weights if file.exists())


def digest(folder: Path, kind: str) -> str:
    """Short hash of the weights of one model of a folder."""
    return _hash([folder / f"{kind}.safetensors"])


def _hash(files: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()[:12]


def _kind(module: Model) -> str:
    if isinstance(module, Decoder):
        return "fast-decoder" if module.config.few_steps else "decoder"
    return {Prior: "prior", AttributeHead: "attributes", Alignment: "alignment"}[type(module)]


def _load(folder: Path, kind: str, build: Any) -> Any:
    config = description(folder, kind)["config"]
    path = folder / f"{kind}.safetensors"
    try:
        module: nn.Module = build(config)
        module.load_state_dict(unpacked(load_file(path)))
    except FileNotFoundError:
        raise UserError(f"The model folder {folder} has {kind}.json but no {kind}.safetensors.") from None
    except (RuntimeError, TypeError, ValueError, KeyError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The checkpoint {path} does not fit this version of the {kind} ({reason}).") from None
    return module.eval().requires_grad_(False)


def pick_device(wanted: str) -> torch.device:
    """auto: CUDA or ROCm if there is one, then Apple's MPS, else the CPU. Raises UserError for an unknown one."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"The device {wanted!r} is not usable here ({str(error).splitlines()[0]}); try cpu.") from None
    return device
