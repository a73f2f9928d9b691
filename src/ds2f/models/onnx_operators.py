"""ONNX operators in PyTorch, as used by published face recognisers (ArcFace, CosFace, MobileFaceNet, SFace and
similar): convolutions, their normalisation and activations, pooling, dense layers, and the shape arithmetic that
exporters leave between them.

Semantics: https://onnx.ai/onnx/operators. Operators that have changed are supported in both forms: axes and limits as
attributes, as in older files, and as inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Attributes = dict[str, Any]
Inputs = Sequence[Tensor | None]
"""None: an omitted optional input."""
Operator = Callable[[Attributes, Any], Tensor]
TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float32, 11: torch.float32}
"""For `Cast`, by ONNX's number; all floats are float32 here."""


def _conv(a: Attributes, inputs: Inputs) -> Tensor:
    x, weight, bias = _three(inputs)
    assert x is not None
    assert weight is not None
    x, padding = _padded(a, x, list(weight.shape[2:]), 0.0)
    strides, dilations = tuple(a.get("strides", (1, 1))), tuple(a.get("dilations", (1, 1)))
    return F.conv2d(x, weight, bias, strides, padding, dilations, a.get("group", 1))


def _batch_normalization(a: Attributes, inputs: Any) -> Tensor:
    x, scale, bias, mean, variance = inputs
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, a.get("epsilon", 1e-5))


def _max_pool(a: Attributes, inputs: Any) -> Tensor:
    kernel = list(a["kernel_shape"])
    x, padding = _padded(a, inputs[0], kernel, -torch.inf)
    strides = tuple(a.get("strides", (1, 1)))
    return F.max_pool2d(x, kernel, strides, padding, tuple(a.get("dilations", (1, 1))), bool(a.get("ceil_mode", 0)))


def _average_pool(a: Attributes, inputs: Any) -> Tensor:
    """Window sums divided by the number of positions that count: all, or those inside the picture."""
    kernel, x = list(a["kernel_shape"]), inputs[0]
    strides, ceil = tuple(a.get("strides", (1, 1))), bool(a.get("ceil_mode", 0))
    counts, _ = _padded(a, torch.ones_like(x[:1, :1]), kernel, float(a.get("count_include_pad", 0)), all_of_it=True)
    full, _ = _padded(a, x, kernel, 0.0, all_of_it=True)
    return F.avg_pool2d(full, kernel, strides, 0, ceil) / F.avg_pool2d(counts, kernel, strides, 0, ceil)


def _padded(
    a: Attributes, x: Tensor, kernel: list[int], value: float, all_of_it: bool = False
) -> tuple[Tensor, tuple[int, int]]:
    """A picture with the padding that an operator needs, and how much of it is left to PyTorch's own padding: all, if
    opposite sides are equal, unless `all_of_it`."""
    auto = a.get("auto_pad", b"NOTSET")
    pads = list(a.get("pads", (0, 0, 0, 0))) if auto in (b"NOTSET", b"VALID") else _same(a, x, kernel, auto)
    top, left, bottom, right = pads
    if top == bottom and left == right and not all_of_it and 2 * top <= kernel[0] and 2 * left <= kernel[1]:
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value) if any(pads) else x, (0, 0)


def _same(a: Attributes, x: Tensor, kernel: list[int], auto: bytes) -> list[int]:
    """SAME_UPPER and SAME_LOWER: padding to an output of ⌈extent / stride⌉, with the odd pixel after or before."""
    before, after = [], []
    strides, dilations = a.get("strides", (1, 1)), a.get("dilations", (1, 1))
    for extent, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        lacking = max(0, (-(-extent // stride) - 1) * stride + dilation * (k - 1) + 1 - extent)
        less, more = lacking // 2, lacking - lacking // 2
        before.append(less if auto == b"SAME_UPPER" else more)
        after.append(more if auto == b"SAME_UPPER" else less)
    return before + after


def _gemm(a: Attributes, inputs: Inputs) -> Tensor:
    x, y, bias = _three(inputs)
    assert x is not None
    assert y is not None
    product = a.get("alpha", 1.0) * ((x.T if a.get("transA") else x) @ (y.T if a.get("transB") else y))
    return product if bias is None else product + a.get("beta", 1.0) * bias


def _reshape(a: Attributes, inputs: Any) -> Tensor:
    x, wanted = inputs
    return x.reshape([x.shape[i] if d == 0 else d for i, d in enumerate(wanted.tolist())])


def _flatten(a: Attributes, inputs: Any) -> Tensor:
    x, axis = inputs[0], a.get("axis", 1)
    return x.reshape(int(torch.tensor(x.shape[:axis]).prod()), -1)


def _clip(a: Attributes, inputs: Any) -> Tensor:
    x, low, high = _three(inputs)
    assert x is not None
    least, most = (a.get(n) if limit is None else limit.item() for n, limit in (("min", low), ("max", high)))
    return x if least is None and most is None else x.clamp(least, most)


def _pad(a: Attributes, inputs: Any) -> Tensor:
    x, pads, value = _three(inputs)
    assert x is not None
    if a.get("mode", b"constant") != b"constant":
        raise ValueError(f"Pad of mode {a['mode'].decode()}")
    sides = a["pads"] if pads is None else pads.tolist()
    half = len(sides) // 2
    ends = [side for pair in zip(sides[:half][::-1], sides[half:][::-1], strict=True) for side in pair]
    return F.pad(x, ends, value=a.get("value", 0.0) if value is None else value.item())


def _slice(a: Attributes, inputs: Any) -> Tensor:
    x, *limits = inputs
    told: list[Any] = [a.get("starts"), a.get("ends"), a.get("axes"), None]
    for place, limit in enumerate(limits):
        told[place] = told[place] if limit is None else limit.tolist()
    starts, ends, axes, steps = told
    where = [slice(None)] * x.dim()
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        where[axes[k] if axes else k] = slice(start, end, steps[k] if steps else 1)
    return x[tuple(where)]


def _gather(a: Attributes, inputs: Any) -> Tensor:
    x, index = inputs
    axis = a.get("axis", 0) % x.dim()
    flat = x.index_select(axis, index.reshape(-1).to(x.device) % x.shape[axis])
    return flat.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _squeeze(a: Attributes, inputs: Any) -> Tensor:
    axes = _axes(a, inputs)
    return inputs[0].squeeze() if axes is None else inputs[0].squeeze(tuple(axes))


def _unsqueeze(a: Attributes, inputs: Any) -> Tensor:
    x, axes = inputs[0], _axes(a, inputs) or []
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _over_axes(function: Callable[..., Tensor]) -> Operator:
    def operator(a: Attributes, inputs: Any) -> Tensor:
        axes = _axes(a, inputs) or range(inputs[0].dim())
        return function(inputs[0], tuple(axes), keepdim=bool(a.get("keepdims", 1)))

    return operator


def _axes(a: Attributes, inputs: Inputs) -> list[int] | None:
    if len(inputs) > 1 and inputs[1] is not None:
        return list(inputs[1].tolist())
    return list(a["axes"]) if "axes" in a else None


def _quotient(a: Attributes, inputs: Any) -> Tensor:
    """For integers an integer, truncated towards zero."""
    x, y = inputs
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def _softmax_of_all_behind(a: Attributes, inputs: Any) -> Tensor:
    """Before opset 13: over the axis and all following axes at once."""
    x = inputs[0]
    axis = a.get("axis", 1) % x.dim()
    return x.flatten(axis).softmax(-1).reshape(x.shape)


def _three(inputs: Inputs) -> list[Tensor | None]:
    return [*inputs, None, None][:3]


def _norm_along(a: Attributes, inputs: Any) -> Tensor:
    x = inputs[0]
    return x / x.norm(a.get("p", 2), a.get("axis", -1), keepdim=True).clamp_min(1e-12)


OPERATORS: dict[str, Operator] = {
    "Conv": _conv,
    "BatchNormalization": _batch_normalization,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda a, i: i[0].mean((2, 3), keepdim=True),
    "Gemm": _gemm,
    "MatMul": lambda a, i: i[0] @ i[1],
    "Relu": lambda a, i: F.relu(i[0]),
    "LeakyRelu": lambda a, i: F.leaky_relu(i[0], a.get("alpha", 0.01)),
    "PRelu": lambda a, i: torch.where(i[0] < 0, i[1] * i[0], i[0]),
    "Elu": lambda a, i: F.elu(i[0], a.get("alpha", 1.0)),
    "Sigmoid": lambda a, i: i[0].sigmoid(),
    "Tanh": lambda a, i: i[0].tanh(),
    "HardSigmoid": lambda a, i: (a.get("alpha", 0.2) * i[0] + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda a, i: i[0] * (i[0] / 6 + 0.5).clamp(0, 1),
    "Softmax": lambda a, i: i[0].softmax(a.get("axis", -1)),
    "Add": lambda a, i: i[0] + i[1],
    "Sub": lambda a, i: i[0] - i[1],
    "Mul": lambda a, i: i[0] * i[1],
    "Div": _quotient,
    "Pow": lambda a, i: i[0] ** i[1],
    "Sqrt": lambda a, i: i[0].sqrt(),
    "Min": lambda a, i: reduce(torch.minimum, i),
    "Max": lambda a, i: reduce(torch.maximum, i),
    "Clip": _clip,
    "ReduceMean": _over_axes(torch.mean),
    "ReduceSum": _over_axes(torch.sum),
    "ReduceL2": _over_axes(lambda x, axes, keepdim: x.square().sum(axes, keepdim=keepdim).sqrt()),
    "LpNormalization": _norm_along,
    "Identity": lambda a, i: i[0],
    "Dropout": lambda a, i: i[0],  # for inference only
    "Cast": lambda a, i: i[0].to(TYPES[a["to"]]),
    "Pad": _pad,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": lambda a, i: i[0].permute(a.get("perm") or tuple(reversed(range(i[0].dim())))),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": lambda a, i: torch.cat(list(i), a["axis"]),
    "Slice": _slice,
    "Gather": _gather,
    "Shape": lambda a, i: torch.tensor(i[0].shape),
    "Expand": lambda a, i: i[0].expand(torch.broadcast_shapes(i[0].shape, tuple(i[1].tolist()))),
}
"""By name; each builds a function of tensors from the attributes of a node and its inputs."""
BEFORE: dict[str, tuple[int, Operator]] = {"Softmax": (13, _softmax_of_all_behind)}
"""{name: (opset, its earlier definition)} for operators whose attributes changed meaning at that opset."""


def operator_of(name: str, opset: int) -> Operator:
    """name: in OPERATORS; opset: the version of ONNX's own operators that a file states."""
    changed, before = BEFORE.get(name, (0, OPERATORS[name]))
    return before if opset < changed else OPERATORS[name]
