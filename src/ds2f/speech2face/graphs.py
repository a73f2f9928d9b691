"""The models that draw a face, as ONNX graphs: written by `ds2f export --format onnx` and shipped with the package.

voice.onnx         features (1, frames, 80) → heard (1, 512), embedding (1, 192): CAM++, see `voice.campplus`
prior.onnx         voice (n, d), noise (n, 128), temperature (), guidance () → identity (n, 128): all of `imagine`
attributes.onnx    identity (n, 128) → age (n, 101), gender (n, 2), ethnicity (n, 5): probabilities
alignment.onnx     voice (n, d), identity (m, 128) → log_odds (n, m): see `models.alignment`
fast-decoder.onnx  z (n, 3, size, size), t (n,), identity (n, 128) → x (n, 3, size, size): one evaluation of the decoder
super-resolution.onnx  picture (n, 3, s, s), noise (n, 1, size, size) → enlarged (n, 3, size, size), s or 2 s
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.diffusion.conditions import Condition
from ds2f.errors import UserError
from ds2f.models import folders, store
from ds2f.models.alignment import Alignment
from ds2f.models.attributes import CLASSES, AttributeHead
from ds2f.models.decoder import Decoder, asked
from ds2f.models.graph_export import write_graph
from ds2f.models.graphs import Graph, mark_of
from ds2f.models.prior import Prior
from ds2f.speech2face.imagine import around
from ds2f.speech2face.settings import DEFAULT
from ds2f.voice import campplus
from ds2f.voice.campplus_graph import WEIGHTS

CLOSE = 1e-3  # tolerance against PyTorch, for numbers around 1
ROWS = {0: "n"}


@dataclass(frozen=True)
class CheckedGraph:
    """A graph, and the largest difference between its numbers and PyTorch's."""

    path: Path
    difference: float


class Imagining(nn.Module):
    """`imagine.sample_identities` without a wish, as one module."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, voice: Tensor, noise: Tensor, temperature: Tensor, guidance: Tensor) -> Tensor:
        return around(self.prior, voice, noise, temperature, guidance)


class Denoising(nn.Module):
    """A decoder conditioned on an identity only, for a sharp face that lies entirely within the picture."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor, t: Tensor, identity: Tensor) -> Tensor:
        given = torch.ones_like(t, dtype=torch.bool)
        known = {
            name: Condition(torch.full_like(t, v)[:, None], given) for name, v in asked(self.decoder.config).items()
        }
        return self.decoder(z, t, {"identity": Condition(identity, given), **known})


class Hearing(nn.Module):
    """CAM++ with both of its outputs from one pass."""

    def __init__(self, network: campplus.Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        over_time = self.network(features)
        return over_time.mean(1), self.network.embedding(over_time)


class Judging(nn.Module):
    """The attribute head's probabilities."""

    def __init__(self, head: AttributeHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, identity: Tensor) -> tuple[Tensor, ...]:
        found = self.head.probabilities(identity)
        return tuple(found[name] for name in CLASSES)


class Fitting(nn.Module):
    """`Alignment.log_odds`."""

    def __init__(self, alignment: Alignment) -> None:
        super().__init__()
        self.alignment = alignment

    def forward(self, voice: Tensor, identity: Tensor) -> Tensor:
        return self.alignment.log_odds(voice, identity)


def write_voice(path: Path, weights: Path = WEIGHTS) -> CheckedGraph:
    """Write CAM++'s graph. path: in the folder of its weights."""
    module = Hearing(campplus.load_network())
    given = {"features": torch.randn(1, 250, 80, generator=_seeded())}
    grows = {"features": {1: "frames"}}
    write_graph(path, module, given, ("heard", "embedding"), [weights], mark_of(weights), grows, whole=False)
    return _check(path, module, {"features": torch.randn(1, 333, 80, generator=_seeded())})


def write_prior(folder: Path) -> CheckedGraph:
    """Write the graph of a folder's prior, beside it."""
    prior = store.load_prior(folder)
    given = {
        "voice": prior.voice_mean + 0.05 * torch.randn(3, prior.inputs.dim, generator=_seeded()),
        "noise": torch.randn(3, prior.config.identity_dim, generator=_seeded()),
        "temperature": torch.tensor(DEFAULT.temperature),
        "guidance": torch.tensor(DEFAULT.voice_guidance),
    }
    grows = dict.fromkeys(("voice", "noise", "identity"), ROWS)
    return _write(folder, "prior", Imagining(prior), given, ("identity",), grows)


def write_attributes(folder: Path) -> CheckedGraph:
    """Write the graph of a folder's attribute head, beside it."""
    head = store.load_attributes(folder)
    given = {"identity": 0.1 * torch.randn(3, head.config.identity_dim, generator=_seeded())}
    return _write(
        folder, "attributes", Judging(head), given, tuple(CLASSES), dict.fromkeys(("identity", *CLASSES), ROWS)
    )


def write_alignment(folder: Path) -> CheckedGraph:
    """Write the graph of a folder's alignment, beside it."""
    model = store.load_alignment(folder)
    given = {
        "voice": 0.1 * torch.randn(2, model.inputs.dim, generator=_seeded()),
        "identity": 0.1 * torch.randn(3, model.config.identity_dim, generator=_seeded()),
    }
    grows = {"voice": ROWS, "identity": {0: "m"}, "log_odds": {0: "n", 1: "m"}}
    return _write(folder, "alignment", Fitting(model), given, ("log_odds",), grows)


def write_fast_decoder(folder: Path, whole: bool) -> CheckedGraph:
    """Write the graph of a folder's fast decoder, beside it. whole: see `graph_export.write_graph`.

    Raises UserError if the folder has none.
    """
    decoder = store.load_fast_decoder(folder)
    if decoder is None:
        raise UserError(f"The model in {folder} has no fast decoder; make one with: ds2f train fast-decoder")
    size = decoder.config.size
    given = {
        "z": decoder.config.noise * torch.randn(2, 3, size, size, generator=_seeded()),
        "t": torch.tensor([0.1, 0.6]),
        "identity": 0.1 * torch.randn(2, decoder.config.conditions["identity"], generator=_seeded()),
    }
    grows, beside = dict.fromkeys((*given, "x"), ROWS), folder / "decoder.safetensors"
    return _write(folder, "fast-decoder", Denoising(decoder), given, ("x",), grows, [beside], whole)


def write_super_resolution(folder: Path) -> CheckedGraph:
    """Write the graph of a folder's super-resolution network, beside it."""
    model = store.load_super_resolution(folder)
    size, whole = model.config.size, model.config.size * model.config.factor
    given = {
        "picture": torch.rand(2, 3, size, size, generator=_seeded()) * 2 - 1,
        "noise": torch.randn(2, 1, whole, whole, generator=_seeded()),
    }
    return _write(
        folder, folders.SUPER_RESOLUTION, model, given, ("enlarged",), dict.fromkeys((*given, "enlarged"), ROWS)
    )


def _write(
    folder: Path,
    kind: str,
    module: nn.Module,
    given: dict[str, Tensor],
    made: tuple[str, ...],
    grows: dict[str, dict[int, str]],
    beside: Sequence[Path] = (),
    whole: bool = False,
) -> CheckedGraph:
    """Write the graph of a folder's model, traced with one row and checked with several. beside: weights that the model
    shares with another; for the rest see `write_graph`."""
    path, weights = folder / f"{kind}.onnx", folder / f"{kind}.safetensors"
    mark = mark_of(weights, folders.description(folder, kind)["config"])
    one = {name: value[:1] if value.dim() else value for name, value in given.items()}  # axes of 1 fit any length
    write_graph(path, module, one, made, [weights, *beside], mark, grows, whole)
    return _check(path, module, given)


def export(folder: Path, out: Path, whole: bool = False, size: int | None = None) -> list[CheckedGraph]:
    """Write graphs of everything that draws a face, with the weights they point to, into one folder.

    folder: the model's.
    out: the output folder, created if missing. May be the model's own, which then draws by its graphs.
    whole: compute the decoder's products in integers, faster and less exactly.
    size: of the pictures, for a model that draws several sizes.
    Raises UserError for a model that cannot be exported, and for a graph whose output differs from PyTorch's.
    """
    drawing = folders.drawing_of_size(folder, size)
    more_kinds = [folders.SUPER_RESOLUTION] if drawing.super_resolution else []
    out.mkdir(parents=True, exist_ok=True)
    weights = out / "voice.safetensors"
    shutil.copyfile(WEIGHTS, weights)
    more = {"attributes": write_attributes, "alignment": write_alignment}  # parts that a model may have
    for place, kinds in ((folder, ("prior", *more)), (drawing.folder, ("decoder", "fast-decoder", *more_kinds))):
        for file in (place / f"{kind}.{ending}" for kind in kinds for ending in ("json", "safetensors")):
            if out.resolve() != place.resolve() and file.is_file():
                shutil.copyfile(file, out / file.name)
    made = [write_voice(out / "voice.onnx", weights), write_prior(out), write_fast_decoder(out, whole)]
    made += [write_super_resolution(out)] if more_kinds else []
    made += [write(out) for kind, write in more.items() if (out / f"{kind}.json").is_file()]
    for one in made:
        if one.difference > CLOSE and not (whole and one.path.name == "fast-decoder.onnx"):
            raise UserError(f"{one.path} differs from PyTorch by {one.difference:.2g}; it cannot be used.")
    return made


def _check(path: Path, module: nn.Module, given: dict[str, Tensor]) -> CheckedGraph:
    with torch.no_grad():
        known = module(*given.values())
    found = Graph(path)(**{name: value.numpy() for name, value in given.items()})
    both = zip(found, known if isinstance(known, tuple) else (known,), strict=True)
    return CheckedGraph(path, max(float(np.abs(one - other.numpy()).max()) for one, other in both))


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
