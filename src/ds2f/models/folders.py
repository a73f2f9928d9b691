"""The contents of a model folder, and which weights they belong to. Without PyTorch; `models.store` reads the weights.

decoder.safetensors  decoder.json  prior.safetensors  prior.json  and so on: fast-decoder, super-resolution, attributes,
alignment, voice

Super-resolution adds detail to the pictures of the decoder in the same folder, and may double their size. Decoders of
further sizes, each with the fast decoder distilled from it, are in folders named by their pixels: 64/decoder.json
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.errors import UserError

FORMAT = 1
SUPER_RESOLUTION = "super-resolution"
HALVED = 256  # pixels of a picture, at least, for it to be offered at half its size, too
SCALE = ".scale"  # appended to the name of an integer tensor: the factors for its rows

logger = logging.getLogger(__name__)


def shipped() -> Path:
    """The folder of the bundled model."""
    return Path(str(files("ds2f") / "weights"))


@dataclass(frozen=True)
class Drawing:
    """Which networks draw pictures of a size. size: pixels; folder: of the decoder; super_resolution: whether it
    follows; halved: whether the picture is then reduced to half its size."""

    size: int
    folder: Path
    super_resolution: bool = False
    halved: bool = False


def decoders(folder: Path) -> dict[int, Path]:
    """{pixels: folder} of a model's decoders, its own first. Raises UserError if it has none, or a broken one."""
    further = sorted(found.parent for found in folder.glob("[0-9]*/decoder.json") if found.parent.name.isdecimal())
    places = [folder, *further]
    found: dict[int, Path] = {}
    for place in places:
        found.setdefault(int(description(place, "decoder")["config"]["size"]), place)
    return found


def own_size(folder: Path) -> int:
    """Pixels of a model's own decoder, before super-resolution. Raises UserError as `decoders` does."""
    return next(iter(decoders(folder)))


def drawings(folder: Path) -> list[Drawing]:
    """The sizes that a model draws, starting with the largest from its own decoder; each size once. A super-resolution
    network for pictures of another size than those of the decoder in its folder is ignored. Raises UserError as
    `decoders` does."""
    found: dict[int, Drawing] = {}
    for size, place in decoders(folder).items():
        if (place / f"{SUPER_RESOLUTION}.json").exists():
            takes = description(place, SUPER_RESOLUTION)["config"]
            if takes["size"] == size:
                finished = takes.get("factor", 2) * size
                found.setdefault(finished, Drawing(finished, place, super_resolution=True))
            else:
                said = "In %s super-resolution takes %d px, and the decoder draws %d; run: ds2f train super-resolution"
                logger.warning(said, place, takes["size"], size)
        found.setdefault(size, Drawing(size, place))
    whole = next(iter(found.values()))
    if whole.size >= HALVED:
        found.setdefault(whole.size // 2, replace(whole, size=whole.size // 2, halved=True))
    return list(found.values())


def drawing_of_size(folder: Path, size: int | None = None) -> Drawing:
    """Which networks draw pictures of a size; None = the model's default. Raises UserError if none do."""
    found = drawings(folder)
    if size is None:
        return found[0]
    for drawing in found:
        if drawing.size == size:
            return drawing
    *some, last = sorted({drawing.size for drawing in found})
    drawn = f"{', '.join(map(str, some))} or {last}" if some else str(last)
    raise UserError(f"The model in {folder} draws faces of {drawn} px, not {size}; give another size, or none.")


def description(folder: Path, kind: str) -> dict[str, Any]:
    """The JSON file next to the weights of `kind`: "decoder", "fast-decoder", "prior", "attributes", "alignment",
    "voice"."""
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


def judges(folder: Path) -> list[str]:
    """The face encoders used in the likeness loss of a model's decoders, as far as they state them."""
    described = sorted(path for at in (folder, *folder.glob("[0-9]*")) for path in at.glob("*decoder.json"))
    told = [description(path.parent, path.stem)["card"].get("judges", []) for path in described]
    return list(dict.fromkeys(name for names in told for name in names))


def tensors(weights: Path, *names: str) -> list[np.ndarray]:
    """Some tensors of a weights file, converted to float32 as `models.packing.unpacked` does."""
    from safetensors import safe_open

    with safe_open(weights, "numpy") as file:
        found = [file.get_tensor(name).astype(np.float32) for name in names]
        scaled = [name + SCALE in file.keys() for name in names]  # noqa: SIM118 - it is no dict
        scales = [file.get_tensor(name + SCALE) if has else 1 for name, has in zip(names, scaled, strict=True)]
    return [value * scale for value, scale in zip(found, scales, strict=True)]


def fingerprint(folder: Path, drawing: Drawing | None = None) -> str:
    """Short hash of all weights used in drawing: two pictures with the same hash come from the same model. drawing:
    which networks draw; None = the default."""
    drawing = drawing or drawing_of_size(folder)
    decoder = drawing.folder
    files = [decoder / "decoder", folder / "prior", decoder / "fast-decoder", folder / "attributes"]
    files += [decoder / SUPER_RESOLUTION] if drawing.super_resolution else []
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
