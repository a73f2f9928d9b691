"""A network for faces in a file that the user provides: `onnx:FILE`, `tflite:FILE` or `ncnn:FILE.param`.

The size and memory layout of its input are read from the file. What such files do not state is in a JSON file of the
same name next to it; see `Stated` and its subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import numpy as np

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional

KINDS = ("onnx", "tflite", "ncnn")

Run = Callable[[np.ndarray], dict[str, np.ndarray]]
"""(n, 3, size, size) or (n, size, size, 3) float32, as the file requires, to {name of an output: (n, d)}, in order."""

Positive = Annotated[float, msgspec.Meta(gt=0)]
OfThree = msgspec.Meta(min_length=3, max_length=3)


class Stated(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The contents of the JSON file. mean, std: of pixels, 0 to 255, for all or for each of `channels`: a pixel p
    becomes (p − mean) / std; size: pixels of its pictures, if the file leaves them open."""

    channels: Literal["RGB", "BGR"] = "RGB"
    mean: float | Annotated[list[float], OfThree] = 127.5
    std: Positive | Annotated[list[Positive], OfThree] = 127.5
    size: Annotated[int, msgspec.Meta(gt=0, le=1024)] = 112
    licence: str = "not stated"


S = TypeVar("S", bound=Stated)


@dataclass(frozen=True)
class Opened:
    """shape: of its input, (batch, 3, size, size) or (batch, size, size, 3); 0 where the file leaves it open."""

    run: Run
    shape: tuple[int, int, int, int]


class FileNetwork(Generic[S]):
    """name: of its rows in a dataset; stated: the contents of the JSON file; size: pixels of a picture."""

    def __init__(self, spec: str, what: str, stated: type[S]) -> None:
        """spec: KIND:FILE.
        what: what the network must be, in two words.
        stated: what the JSON file may and must contain.
        Raises UserError if there is no such file, or it contains no such network.
        """
        self.name = name_of(spec)
        kind = spec.partition(":")[0]
        self.path, self.what = path_of(spec, what), what
        self.stated = read_stated(self.path, stated)
        try:
            self._opened = {"onnx": _onnx, "tflite": _tflite, "ncnn": _ncnn}[kind](self.path, what, self.stated)
            self.size = self._opened.shape[2] or self.stated.size
            self.dims = {name: len(row) for name, row in self._run(np.zeros((self.size, self.size, 3))).items()}
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises for a file that it cannot read
            raise UserError(f"{self.path} is not a readable {what} ({first_line(error)}).") from None

    def __call__(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        """crops: (n, size, size, 3) uint8 RGB, to {name of an output: (n, d) float32}."""
        rows = [self._run(crop) for crop in crops]
        return {name: np.array([row[name] for row in rows], np.float32).reshape(-1, d) for name, d in self.dims.items()}

    def _run(self, crop: np.ndarray) -> dict[str, np.ndarray]:
        """(size, size, 3) to {name of an output: (d,)}.

        One at a time, because a dynamically quantised network rounds all pictures of a batch by the largest number
        among them (findings/onnx_quantised_batches.sh). Published files fix odd sizes of a batch, which copies fill.
        """
        batch, *shape = self._opened.shape
        x = crop[..., ::-1] if self.stated.channels == "BGR" else crop
        x = (x.astype(np.float32) - np.array(self.stated.mean, np.float32)) / np.array(self.stated.std, np.float32)
        x = x.transpose(2, 0, 1) if shape[0] == 3 else x
        copies = np.repeat(x[None], batch or 1, axis=0)
        return {name: value.reshape(len(copies), -1)[0] for name, value in self._opened.run(copies).items()}


def is_file(spec: str) -> bool:
    """Whether a spec names a file, as `onnx:FILE` does."""
    kind, _, place = spec.partition(":")
    return kind in KINDS and bool(place)


def path_of(spec: str, what: str) -> Path:
    """The file that a spec names. what: kind of model. Raises UserError if it does not exist."""
    path = Path(spec.partition(":")[2]).expanduser()
    if not path.is_file():
        raise UserError(f"There is no {what} {path}; check the path of {spec!r}.")
    return path


def name_of(spec: str) -> str:
    """The name of its rows in a dataset: kind and file name without extension."""
    kind, _, place = spec.partition(":")
    return f"{kind}:{Path(place).stem}"


def read_stated(path: Path, kind: type[S]) -> S:
    """The JSON file next to a network's file. Raises UserError if it cannot be parsed."""
    beside = path.with_suffix(".json")
    try:
        return msgspec.json.decode(beside.read_bytes() if beside.exists() else b"{}", type=kind)
    except (msgspec.MsgspecError, OSError) as error:
        raise UserError(
            f"{beside} does not say what goes into {path.name} and what comes out: {first_line(error)}. It may have "
            f"{', '.join(kind.__struct_fields__)}."
        ) from None


def _onnx(path: Path, what: str, stated: Stated) -> Opened:
    runtime = optional("onnxruntime", "onnx", f"The {what} {path}")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # parallelism is over files
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry, names = session.get_inputs()[0], [leave.name for leave in session.get_outputs()]

    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, map(np.asarray, session.run(names, {entry.name: x})), strict=True))

    return Opened(run, _shape([d if isinstance(d, int) and d > 0 else 0 for d in entry.shape]))


def _tflite(path: Path, what: str, stated: Stated) -> Opened:
    runtime = optional("ai_edge_litert.interpreter", "tflite", f"The {what} {path}")
    interpreter = runtime.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    entry, leaves = interpreter.get_input_details()[0], interpreter.get_output_details()

    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        interpreter.set_tensor(entry["index"], x)
        interpreter.invoke()
        return {leave["name"]: np.array(interpreter.get_tensor(leave["index"])) for leave in leaves}

    return Opened(run, _shape([int(d) for d in entry["shape"]]))


def _ncnn(path: Path, what: str, stated: Stated) -> Opened:
    runtime: Any = optional("ncnn", "ncnn", f"The {what} {path}")
    network = runtime.Net()
    network.opt.num_threads = 1
    if network.load_param(str(path)) or network.load_model(str(path.with_suffix(".bin"))):
        raise UserError(f"{path} and {path.with_suffix('.bin').name} next to it are not a network that ncnn can read.")
    entry, leaves = network.input_names()[0], network.output_names()

    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        extractor = network.create_extractor()
        # A Mat reads memory as it lies: x must be contiguous (findings/ncnn_reads_crops_askew.sh).
        extractor.input(entry, runtime.Mat(x[0]).clone())
        return {leave: np.array(extractor.extract(leave)[1])[None] for leave in leaves}

    return Opened(run, (1, 3, stated.size, stated.size))  # such a file states no sizes


def _shape(shape: Sequence[int]) -> tuple[int, int, int, int]:
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise ValueError(f"its input is {tuple(shape)}, not a batch of pictures in three colours")
    batch, a, b, c = shape
    return batch, a, b, c
