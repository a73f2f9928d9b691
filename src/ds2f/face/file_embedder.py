"""A face recogniser in a file of one's own, as a judge that training has never seen: `onnx:FILE`, `tflite:FILE` or
`ncnn:FILE.param`. Faces are aligned as ArcFace's are (Deng et al., CVPR 2019), which most recognisers since expect.

How large its pictures are and in which order their numbers lie is read from the file. What no file says stands in a
JSON file beside it, of the same name: {"channels": "RGB" or "BGR", "mean": 127.5, "std": 127.5, "size": 112,
"licence": "..."}; what is not stated there is as here. A pixel p becomes (p − mean) / std.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import msgspec
import numpy as np

from ds2f.errors import UserError
from ds2f.face.align import arcface_points, similarity
from ds2f.io.extras import first_line, optional
from ds2f.types import DetectedFace

KINDS = ("onnx", "tflite", "ncnn")

Run = Callable[[np.ndarray], np.ndarray]
"""(n, 3, size, size) or (n, size, size, 3) float32, as the file wants it, to (n, d)."""


class Stated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said beside the file. mean, std: of pixels, 0 to 255; size: pixels of its pictures, where the file leaves
    them open."""

    channels: Literal["RGB", "BGR"] = "RGB"
    mean: float = 127.5
    std: Annotated[float, msgspec.Meta(gt=0)] = 127.5
    size: Annotated[int, msgspec.Meta(gt=0, le=1024)] = 112
    licence: str = "not stated"


@dataclass(frozen=True)
class Network:
    """shape: of its input, (batch, 3, size, size) or (batch, size, size, 3); 0 where the file leaves it open."""

    run: Run
    shape: tuple[int, int, int, int]


class FileEmbedder:
    """Identity vectors of length 1."""

    def __init__(self, spec: str) -> None:
        """spec: KIND:FILE. Raises UserError if there is no such file, or it holds no face recogniser."""
        self.name = name_of(spec)
        kind, _, place = spec.partition(":")
        path = Path(place).expanduser()
        if not path.is_file():
            raise UserError(f"There is no face recogniser {path}; check the path of {spec!r}.")
        self._stated = _stated(path)
        self.licence = self._stated.licence
        try:
            self._network = {"onnx": _onnx, "tflite": _tflite, "ncnn": _ncnn}[kind](path, self._stated)
            self.dim = self.embed_crops(np.zeros((1, self._size, self._size, 3), np.uint8)).shape[1]
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises for a file that it cannot read
            raise UserError(f"{path} is no face recogniser that can be read ({first_line(error)}).") from None

    def embed(self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace]) -> np.ndarray:
        """See FaceEmbedder.embed: (n, d) float32."""
        size = self._size
        crops = [_aligned(image, face.landmarks, size) for image, face in zip(images, faces, strict=True)]
        return self.embed_crops(np.array(crops, np.uint8).reshape(-1, size, size, 3))

    def embed_crops(self, crops: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) uint8 RGB, aligned, to (n, d) float32 of length 1."""
        stated, shape = self._stated, self._network.shape
        x = (crops.astype(np.float32) - stated.mean) / stated.std
        if stated.channels == "BGR":
            x = x[..., ::-1]
        if shape[1] == 3:
            x = x.transpose(0, 3, 1, 2)
        batch = shape[0] or max(1, len(x))
        found = []
        for part in (x[i : i + batch] for i in range(0, len(x), batch)):
            full = np.concatenate(
                [part, np.repeat(part[:1], batch - len(part), 0)]
            )  # published files state odd batches
            found.append(self._network.run(np.ascontiguousarray(full))[: len(part)])
        vectors = np.concatenate(found).astype(np.float32) if found else np.zeros((0, self.dim), np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    @property
    def _size(self) -> int:
        return self._network.shape[2] or self._stated.size


def is_file(spec: str) -> bool:
    """Whether a spec means a file, as in `onnx:FILE`."""
    kind, _, place = spec.partition(":")
    return kind in KINDS and bool(place)


def name_of(spec: str) -> str:
    """The name of its rows in a dataset: kind and file name without the ending."""
    kind, _, place = spec.partition(":")
    return f"{kind}:{Path(place).stem}"


def _aligned(image: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    matrix = similarity(landmarks.astype(np.float64), arcface_points(size).astype(np.float64))
    return cv2.warpAffine(image, matrix, (size, size))


def _stated(path: Path) -> Stated:
    beside = path.with_suffix(".json")
    if not beside.exists():
        return Stated()
    try:
        return msgspec.json.decode(beside.read_bytes(), type=Stated)
    except (msgspec.MsgspecError, OSError) as error:
        raise UserError(
            f"{beside} does not say how pictures go into {path.name}: {first_line(error)}. It may have "
            f"{', '.join(Stated.__struct_fields__)}."
        ) from None


def _onnx(path: Path, stated: Stated) -> Network:
    runtime = optional("onnxruntime", "onnx", f"The face recogniser {path}")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # parallelism is over files
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]

    def run(x: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {entry.name: x})[0])

    return Network(run, _shape([d if isinstance(d, int) and d > 0 else 0 for d in entry.shape]))


def _tflite(path: Path, stated: Stated) -> Network:
    runtime = optional("ai_edge_litert.interpreter", "tflite", f"The face recogniser {path}")
    interpreter = runtime.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(entry["index"], x)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(exit_["index"]))

    return Network(run, _shape([int(d) for d in entry["shape"]]))


def _ncnn(path: Path, stated: Stated) -> Network:
    runtime: Any = optional("ncnn", "ncnn", f"The face recogniser {path}")
    network = runtime.Net()
    network.opt.num_threads = 1
    if network.load_param(str(path)) or network.load_model(str(path.with_suffix(".bin"))):
        raise UserError(f"{path} and {path.with_suffix('.bin').name} beside it are no network that ncnn reads.")
    entry, exit_ = network.input_names()[0], network.output_names()[0]

    def run(x: np.ndarray) -> np.ndarray:
        extractor = network.create_extractor()
        extractor.input(entry, runtime.Mat(x[0]).clone())
        return np.array(extractor.extract(exit_)[1])[None]

    return Network(run, (1, 3, stated.size, stated.size))  # such a file states no sizes


def _shape(shape: Sequence[int]) -> tuple[int, int, int, int]:
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise ValueError(f"its input is {tuple(shape)}, not a batch of pictures in three colours")
    batch, a, b, c = shape
    return batch, a, b, c
