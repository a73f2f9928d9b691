"""Networks in ONNX files, followed in PyTorch: the numbers of ONNX Runtime, and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from ds2f.errors import UserError
from ds2f.models.onnx_network import OnnxNetwork
from ds2f.models.onnx_operators import OPERATORS
from made_up_networks import node, numbers, onnx, recogniser, written


def by_runtime(path: Path, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize("batch", ["n", 1, 2])
def test_a_recogniser_says_what_onnx_runtime_says_and_gradients_flow(tmp_path: Path, batch: int | str) -> None:
    path = recogniser(tmp_path / "r.onnx", batch)
    network, x = OnnxNetwork(path), numbers(5, 3, 16, 16)
    seen = torch.from_numpy(x).requires_grad_()
    found = network(seen)
    step = batch if isinstance(batch, int) else 1
    padded = np.concatenate([x, x[: -len(x) % step]])
    expected = np.concatenate([by_runtime(path, padded[i : i + step]) for i in range(0, len(padded), step)])[: len(x)]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)
    found[0, 0].backward()
    assert seen.grad is not None
    assert seen.grad[0].abs().max() > 0
    assert seen.grad[1:].abs().max() == 0, "what is said of one picture depends on that one alone"
    assert not list(network.parameters())


X = (2, 4, 7, 6)
SAME = {"kernel_shape": [3, 3], "strides": [2, 2]}
CASES: list[tuple[list[Any], dict[str, np.ndarray]]] = [
    ([node("MaxPool", "x", "y", pads=[0, 1, 1, 0], **SAME)], {}),
    ([node("MaxPool", "x", "y", auto_pad="SAME_LOWER", **SAME)], {}),
    ([node("MaxPool", "x", "y", ceil_mode=1, **SAME)], {}),
    ([node("AveragePool", "x", "y", pads=[1, 0, 0, 1], **SAME)], {}),
    ([node("AveragePool", "x", "y", pads=[1, 1, 1, 1], count_include_pad=1, **SAME)], {}),
    ([node("Conv", "x w", "y", pads=[2, 0, 1, 1], dilations=[2, 1])], {"w": numbers(5, 4, 3, 3)}),
    ([node("Conv", "x w", "y", pads=[3, 3, 3, 3])], {"w": numbers(5, 4, 1, 1)}),
    ([node("GlobalAveragePool", "x", "p"), node("Squeeze", "p axes", "y")], {"axes": np.array([2, 3])}),
    ([node("LeakyRelu", "x", "l", alpha=0.2), node("Elu", "l", "e"), node("Tanh", "e", "y")], {}),
    ([node("Sigmoid", "x", "s"), node("HardSigmoid", "x", "h"), node("Mul", "s h", "y")], {}),
    ([node("HardSwish", "x", "s"), node("Softmax", "s", "y", axis=1)], {}),
    ([node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("MatMul", "t w", "y")], {"w": numbers(4, 3)}),
    ([node("Transpose", "x", "y")], {}),
    ([node("Flatten", "x", "f", axis=2), node("LpNormalization", "f", "y")], {}),
    ([node("ReduceMean", "x", "m", axes=[-1, 2], keepdims=0), node("ReduceSum", "m a", "y")], {"a": np.array([1])}),
    ([node("Pad", "x p v", "y")], {"p": np.array([0, 1, 2, 0, 0, 0, 1, 3]), "v": np.array(2, np.float32)}),
    ([node("Slice", "x s e a t", "y")],
     {"s": np.array([1, -1]), "e": np.array([4, 9]), "a": np.array([1, 3]), "t": np.array([2, 1])}),
    ([node("Clip", "x - high", "c"), node("Pow", "c two", "p"), node("Sqrt", "p", "y")],
     {"high": np.array(0.3, np.float32), "two": np.array(2, np.float32)}),
    ([node("Gather", "x i", "g", axis=2), node("Cast", "g", "y", to=1)], {"i": np.array([[0, -1], [3, 2]])}),
    ([node("Shape", "x", "s"), node("Expand", "one s", "e"), node("Sub", "x e", "y")],
     {"one": numbers(1, 4, 1, 1)}),
    ([node("Max", "x w v", "m"), node("Min", "m x v w", "i"), node("Identity", "i", "y")],
     {"w": numbers(1, 4, 1, 1), "v": 2 * numbers(1, 1, 7, 1)}),
    ([node("Shape", "x", "s"), node("Div", "s three", "d"), node("Cast", "d", "f", to=1),
      node("Reshape", "f to", "r"), node("Add", "x r", "a"), node("Div", "a half", "y")],
     {"three": np.array([-3, 3, 3, 4]), "to": np.array([1, 4, 1, 1]), "half": np.array(0.5, np.float32)}),
    ([node("Unsqueeze", "x a", "u"), node("Reshape", "u to", "y")], {"a": np.array([-1]), "to": np.array([0, 2, -1])}),
    ([node("Constant", "", "c", value_float=1.0), node("Add", "x c", "y")], {}),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants"), CASES, ids=["-".join(n.op_type for n in case[0]) for case in CASES])
def test_each_operator_gives_the_numbers_of_onnx_runtime(
    tmp_path: Path, nodes: list[Any], constants: dict[str, np.ndarray]
) -> None:
    path, x = written(tmp_path / "n.onnx", nodes, constants, X), numbers(*X)
    np.testing.assert_allclose(OnnxNetwork(path)(torch.from_numpy(x)).numpy(), by_runtime(path, x), atol=1e-5)


def test_every_known_operator_is_tried(tmp_path: Path) -> None:
    tried = {n.op_type for nodes, _ in CASES for n in nodes}
    tried |= {n.op_type for n in onnx.load(str(recogniser(tmp_path / "r.onnx"))).graph.node}
    assert set(OPERATORS) <= tried


def test_axes_and_limits_as_older_files_have_them(tmp_path: Path) -> None:
    nodes = [
        node("Clip", "x", "c", min=-0.5, max=0.5),
        node("Slice", "c", "s", starts=[1], ends=[3], axes=[1]),
        node("Pad", "s", "p", pads=[0, 0, 1, 0, 0, 0, 0, 1], value=0.25),
        node("Unsqueeze", "p", "u", axes=[0]),
        node("Squeeze", "u", "y", axes=[0]),
    ]
    path, x = written(tmp_path / "n.onnx", nodes, {}, X, opset=9), numbers(*X)
    np.testing.assert_allclose(OnnxNetwork(path)(torch.from_numpy(x)).numpy(), by_runtime(path, x), atol=1e-6)


@pytest.mark.parametrize("axis", [{}, {"axis": 0}, {"axis": -1}])
def test_softmax_as_older_files_mean_it(tmp_path: Path, axis: dict[str, int]) -> None:
    """Until opset 12 over all axes from the given one on, where that was the second unless said."""
    path, x = written(tmp_path / "n.onnx", [node("Softmax", "x", "y", **axis)], {}, X, opset=11), numbers(*X)
    np.testing.assert_allclose(OnnxNetwork(path)(torch.from_numpy(x)).numpy(), by_runtime(path, x), atol=1e-6)


def test_what_cannot_be_followed_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "n.onnx", [node("Erf", "x", "y")], {}, X)
    with pytest.raises(UserError, match=r"n\.onnx has the operator Erf, which is not supported; supported are Add,"):
        OnnxNetwork(path)
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(UserError, match=r"text\.onnx is not an ONNX network"):
        OnnxNetwork(tmp_path / "text.onnx")
