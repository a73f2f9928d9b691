"""Recognisers in files of one's own, by tiny networks of each format whose vector is the picture that went in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ds2f.errors import UserError
from ds2f.face.align import arcface_points
from ds2f.face.file_embedder import FileEmbedder
from ds2f.face.file_network import name_of
from ds2f.types import DetectedFace

SIZE = 4
CROPS = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


def onnx_file(path: Path, shape: tuple[int | str, ...], quantised: bool = False) -> str:
    """quantised: to 8 bit of the range of what goes in, as `quantize_dynamic` of ONNX Runtime has it."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[dev]'")
    entry = onnx.helper.make_tensor_value_info("pictures", onnx.TensorProto.FLOAT, shape)
    leave = onnx.helper.make_tensor_value_info("vectors", onnx.TensorProto.FLOAT, ["n", 3 * SIZE * SIZE])
    node = onnx.helper.make_node
    rounding = [node("DynamicQuantizeLinear", ["pictures"], list("qsz")), node("DequantizeLinear", list("qsz"), ["r"])]
    nodes = [*rounding[: 2 * quantised], node("Flatten", ["r" if quantised else "pictures"], ["vectors"])]
    graph = onnx.helper.make_graph(nodes, "g", [entry], [leave])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return f"onnx:{path}"


def ncnn_file(path: Path) -> str:
    pytest.importorskip("ncnn", reason="ncnn is not installed: pip install -e '.[dev]'")
    layers = ["Input data 0 1 data", f"Reshape flat 1 1 data vector 0={3 * SIZE * SIZE}"]
    path.write_text("\n".join(["7767517", "2 2", *layers]) + "\n")
    path.with_suffix(".bin").write_bytes(b"")
    return f"ncnn:{path}"


def tflite_file(path: Path, batch: int) -> str:
    """One operator, RESHAPE, written by the numbers of the fields in TensorFlow Lite's schema."""
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed: pip install -e '.[dev]'")
    flatbuffers = pytest.importorskip("flatbuffers")
    made = flatbuffers.Builder(1024)

    def numbers(values: list[int]) -> int:
        made.StartVector(4, len(values), 4)
        for value in reversed(values):
            made.PrependInt32(value)
        return int(made.EndVector())

    def offsets(values: list[int]) -> int:
        made.StartVector(4, len(values), 4)
        for value in reversed(values):
            made.PrependUOffsetTRelative(value)
        return int(made.EndVector())

    def table(slots: dict[int, int], whole: dict[int, tuple[str, int]] | None = None) -> int:
        made.StartObject(5)
        for slot, value in slots.items():
            made.PrependUOffsetTRelativeSlot(slot, value, 0)
        for slot, (kind, value) in (whole or {}).items():
            getattr(made, f"Prepend{kind}Slot")(slot, value, 0)
        return int(made.EndObject())

    shapes = ([batch, SIZE, SIZE, 3], [batch, 3 * SIZE * SIZE])
    tensors = [table({0: numbers(s), 3: made.CreateString(f"t{i}")}) for i, s in enumerate(shapes)]
    options = table({0: numbers(shapes[1])})
    operator = table({1: numbers([0]), 2: numbers([1]), 4: options}, {3: ("Uint8", 17)})  # ReshapeOptions
    graph = table({0: offsets(tensors), 1: numbers([0]), 2: numbers([1]), 3: offsets([operator])})
    code = table({}, {0: ("Int8", 22), 2: ("Int32", 1), 3: ("Int32", 22)})  # RESHAPE
    model = table({1: offsets([code]), 2: offsets([graph]), 4: offsets([table({})])}, {0: ("Uint32", 3)})
    made.Finish(model, b"TFL3")
    path.write_bytes(bytes(made.Output()))
    return f"tflite:{path}"


def expected(order: str, channels: str = "RGB", mean: float = 127.5, std: float = 127.5) -> np.ndarray:
    x = (CROPS.astype(np.float64) - mean) / std
    x = x[..., ::-1] if channels == "BGR" else x
    x = (x.transpose(0, 3, 1, 2) if order == "NCHW" else x).reshape(len(x), -1)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("batch", ["n", 1, 2])
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_onnx_in_any_order_and_batch(tmp_path: Path, order: str, batch: int | str) -> None:
    shape = (batch, 3, SIZE, SIZE) if order == "NCHW" else (batch, SIZE, SIZE, 3)
    embedder = FileEmbedder(onnx_file(tmp_path / "own.onnx", shape))
    assert (embedder.name, embedder.dim) == ("onnx:own", 48)
    np.testing.assert_allclose(embedder.embed_crops(CROPS), expected(order), atol=1e-6)


@pytest.mark.parametrize("batch", ["n", 2])
def test_a_face_has_one_vector_whoever_is_beside_it(tmp_path: Path, batch: int | str) -> None:
    """Rounded by the range of a whole batch, a flat picture beside one of full contrast would lose detail."""
    embedder = FileEmbedder(onnx_file(tmp_path / "own.onnx", (batch, 3, SIZE, SIZE), quantised=True))
    faces = np.stack([120 + CROPS[0] % 16, CROPS[1]])
    np.testing.assert_array_equal(embedder.embed_crops(faces)[0], embedder.embed_crops(faces[:1])[0])


def test_tflite_whose_batch_is_two(tmp_path: Path) -> None:
    """As the MobileFaceNet that several packages carry has it."""
    embedder = FileEmbedder(tflite_file(tmp_path / "own.tflite", batch=2))
    np.testing.assert_allclose(embedder.embed_crops(CROPS), expected("NHWC"), atol=1e-6)


def test_ncnn_with_what_is_stated_beside_it(tmp_path: Path) -> None:
    stated = {"size": SIZE, "channels": "BGR", "mean": 0, "std": 1, "licence": "MIT"}
    (tmp_path / "own.json").write_text(json.dumps(stated))
    embedder = FileEmbedder(ncnn_file(tmp_path / "own.param"))
    assert embedder.licence == "MIT"
    np.testing.assert_allclose(embedder.embed_crops(CROPS), expected("NCHW", "BGR", 0, 1), atol=1e-6)


def test_faces_are_aligned_as_arcface_has_them(tmp_path: Path) -> None:
    """A picture whose landmarks lie where they shall is the crop itself."""
    embedder = FileEmbedder(onnx_file(tmp_path / "own.onnx", ("n", SIZE, SIZE, 3)))
    face = DetectedFace((0, 0, SIZE, SIZE), arcface_points(SIZE).astype(np.float32), 1.0)
    np.testing.assert_allclose(embedder.embed([CROPS[0]], [face]), expected("NHWC")[:1], atol=1e-2)
    assert embedder.embed([], []).shape == (0, 48)


@pytest.mark.parametrize(
    ("beside", "said"),
    [('{"std": 0}', "std"), ('{"channel": "BGR"}', "channel"), ('{"channels": "GBR"}', "GBR"), ("BGR", "malformed")],
)
def test_what_is_stated_wrongly_is_refused(tmp_path: Path, beside: str, said: str) -> None:
    (tmp_path / "own.json").write_text(beside)
    with pytest.raises(UserError, match=said):
        FileEmbedder(onnx_file(tmp_path / "own.onnx", ("n", 3, SIZE, SIZE)))


def test_files_that_hold_no_recogniser(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no face recogniser"):
        FileEmbedder(f"onnx:{tmp_path / 'gone.onnx'}")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(UserError, match="is not a readable face recogniser"):
        FileEmbedder(f"onnx:{tmp_path / 'text.onnx'}")
    with pytest.raises(UserError, match="three colours"):
        FileEmbedder(onnx_file(tmp_path / "grey.onnx", ("n", 1, SIZE, SIZE)))


def test_a_name_does_not_hold_the_path() -> None:
    assert name_of("tflite:/models/MobileFaceNet.tflite") == "tflite:MobileFaceNet"
