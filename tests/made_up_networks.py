"""Networks in ONNX files, made up for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[dev]'")


def written(
    path: Path, nodes: list[Any], constants: dict[str, np.ndarray], shape: tuple[int | str, ...], opset: int = 17
) -> Path:
    """An ONNX file of some nodes from "x" to "y"."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    entry, leave = helper.make_tensor_value_info("x", kind, shape), helper.make_tensor_value_info("y", kind, None)
    kept = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [entry], [leave], kept)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def numbers(*shape: int) -> np.ndarray:
    """The same for the same shape."""
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    """inputs: names with spaces between them; "-" where an optional one is left out."""
    return onnx.helper.make_node(operator, ["" if i == "-" else i for i in inputs.split()], [output], **attributes)


def recogniser(path: Path, batch: int | str = "n") -> Path:
    """A small ArcFace: what its ONNX files are made of, twelve numbers of a face of 16 px."""
    nodes = [
        node("Conv", "x w1 b1", "c1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("PRelu", "c1 slope", "p1"),
        node("BatchNormalization", "p1 gamma beta mean var", "n1", epsilon=2e-5),
        node("Conv", "n1 w2", "c2", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", group=2),
        node("MaxPool", "p1", "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("Add", "c2 m", "s"),
        node("Relu", "s", "r"),
        node("AveragePool", "r", "a", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Shape", "a", "shape"),
        node("Gather", "shape zero", "n", axis=0),
        node("Unsqueeze", "n first", "rows"),
        node("Concat", "rows rest", "wanted", axis=0),
        node("Reshape", "a wanted", "flat"),
        node("Dropout", "flat", "kept"),
        node("Gemm", "kept dense b2", "g", transB=1),
        node("ReduceL2", "g", "length", axes=[1], keepdims=1),
        node("Clip", "length least", "long"),
        node("Div", "g long", "y"),
    ]
    constants = {
        "w1": 0.3 * numbers(8, 3, 3, 3), "b1": numbers(8), "slope": numbers(8, 1, 1), "gamma": numbers(8),
        "beta": numbers(8), "mean": numbers(8), "var": np.abs(numbers(8)) + 0.5, "w2": 0.3 * numbers(8, 4, 3, 3),
        "zero": np.array(0), "first": np.array([0]), "rest": np.array([-1]), "dense": numbers(12, 8 * 4 * 4),
        "b2": numbers(12), "least": np.array(1e-6, np.float32),
    }  # fmt: skip
    return written(path, nodes, constants, (batch, 3, 16, 16))
