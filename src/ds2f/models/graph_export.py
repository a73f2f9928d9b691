"""Exports torch modules as ONNX graphs that refer to the safetensors file of their weights.

In ONNX, a tensor can be stored in another file, at an offset; safetensors is a header followed by raw tensors. So a
graph needs no copy of the weights: it is some hundred kB of structure, its tensors are those of `models.packing`, and

    W ≈ s Q  (8-bit integers and a scale for each row)

is computed when the graph is loaded, or not at all, since a product with a matrix of 8-bit integers can be computed in
integers,

    x Wᵀ ≈ sₓ s (q − z) Qᵀ,   q = round(x / sₓ) + z

with sₓ and z from the range of x (ONNX's DynamicQuantizeLinear). Exporting needs the package onnx; running a graph does
not.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ds2f.io.extras import optional
from ds2f.io.files import replacing
from ds2f.models.graphs import MARK, header_of
from ds2f.models.packing import SCALE

OPSET = 17
EPSILON = torch.finfo(torch.float32).eps  # PyTorch's default for norms


def write_graph(
    path: Path,
    module: nn.Module,
    given: dict[str, Tensor],
    made: Sequence[str],
    weights: Sequence[Path],
    mark: str,
    grows: dict[str, dict[int, str]],
    whole: bool,
) -> None:
    """Write a module as a graph next to the file of its weights.

    path: of the .onnx file, in the folder of `weights`.
    module: its parameters' names contain, after some dot, the names of tensors in `weights`.
    given: an example of each argument, by its name.
    made: names of the outputs.
    weights: the safetensors file, and others next to it that hold what it omits.
    mark: from `models.graphs.mark_of`.
    grows: {argument or output: {axis: name}} for axes of variable length.
    whole: multiply by 8-bit matrices in integers; False: in float32, agreeing with PyTorch to six digits.
    Raises UserError without the package onnx.
    """
    onnx = optional("onnx", "export", "Exporting ONNX graphs")
    _describe_rms_norm()
    with replacing(path) as aside:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # about shapes that a trace fixes; the variable ones are tested
            torch.onnx.export(
                module.eval(), tuple(given.values()), str(aside), dynamo=False, opset_version=OPSET,
                do_constant_folding=False, input_names=list(given), output_names=list(made), dynamic_axes=grows,
            )  # fmt: skip
        graph = onnx.load(str(aside))
        _point(onnx, graph, weights, whole)
        del graph.metadata_props[:]
        graph.metadata_props.add(key=MARK, value=mark)
        aside.write_bytes(graph.SerializeToString())


def _describe_rms_norm() -> None:
    """Define F.rms_norm for the exporter: x / √(mean(x²) + ε), over the last axis and without weights."""

    def symbolic(g: Any, x: Any, shape: Any, weight: Any, eps: Any) -> Any:
        square = g.op("ReduceMean", g.op("Mul", x, x), axes_i=[-1], keepdims_i=1)
        root = g.op("Sqrt", g.op("Add", square, g.op("Constant", value_t=torch.tensor(EPSILON))))
        return g.op("Div", x, root)

    torch.onnx.register_custom_op_symbolic("aten::rms_norm", symbolic, OPSET)


def _point(onnx: Any, model: Any, weights: Sequence[Path], whole: bool) -> None:
    """Replace the numbers in a graph by references into safetensors files, to the first one that contains them."""
    places: dict[str, Any] = {}
    for file in reversed(weights):
        header, start = header_of(file)
        places |= {name: {**place, "file": file.name, "start": start} for name, place in header.items()}
    graph, helper = model.graph, onnx.helper
    kept: list[Any] = []
    before: list[Any] = []
    kinds = {"F32": onnx.TensorProto.FLOAT, "F16": onnx.TensorProto.FLOAT16, "I8": onnx.TensorProto.INT8}

    def pointed(name: str) -> str:
        """A reference to a tensor of the file, as stored."""
        place, alias = places[name], f"stored:{name}"
        tensor = onnx.TensorProto(name=alias, data_type=kinds[place["dtype"]], dims=place["shape"])
        first, end = place["data_offsets"]
        for key, value in (("location", place["file"]), ("offset", place["start"] + first), ("length", end - first)):
            tensor.external_data.add(key=key, value=str(value))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        kept.append(tensor)
        return alias

    matrices = _matrices(graph) if whole else {}
    for tensor in graph.initializer:
        name = _stored_name(tensor.name, places)
        if name is None:
            kept.append(tensor)
        elif places[name]["dtype"] == "I8" and tensor.name in matrices:
            turned, product = matrices[tensor.name]
            of_matrix, of_product = _in_integers(
                helper.make_node, tensor.name, pointed(name), pointed(name + SCALE), product.input[0], product.output[0]
            )
            before += of_matrix
            place = list(graph.node).index(product)
            for offset, node in enumerate(of_product, 1):
                graph.node.insert(place + offset, node)
            graph.node.remove(product)
            graph.node.remove(turned)
        else:
            scaled = name + SCALE in places
            wide = f"wide:{tensor.name}" if scaled else tensor.name
            before.append(helper.make_node("Cast", [pointed(name)], [wide], to=onnx.TensorProto.FLOAT))
            if scaled:
                before.append(helper.make_node("Mul", [wide, pointed(name + SCALE)], [tensor.name]))
    nodes = [*before, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def _stored_name(name: str, places: dict[str, Any]) -> str | None:
    """The name in the file of a parameter of a wrapped module."""
    while name not in places and "." in name:
        name = name.partition(".")[2]
    return name if name in places else None


def _matrices(graph: Any) -> dict[str, tuple[Any, Any]]:
    """{parameter W: (the node of Wᵀ, the node of x Wᵀ)} for those used in this way and nowhere else."""
    used = Counter(name for node in graph.node for name in node.input)
    by_input = {name: node for node in graph.node for name in node.input}
    found = {}
    for tensor in graph.initializer:
        turned = by_input.get(tensor.name)
        if turned is None or turned.op_type != "Transpose" or used[tensor.name] > 1 or used[turned.output[0]] > 1:
            continue
        product = by_input.get(turned.output[0])
        if product is not None and product.op_type == "MatMul" and product.input[1] == turned.output[0]:
            found[tensor.name] = turned, product
    return found


def _in_integers(
    make: Callable[..., Any], name: str, matrix: str, scale: str, x: str, result: str
) -> tuple[list[Any], list[Any]]:
    """The nodes of x Wᵀ in integers: those of W alone, and those of the product.

    make: onnx.helper.make_node; name: of W; matrix, scale: of the tensors Q, (out, in), 8-bit, and s, (out, 1).
    """
    turned, scales, q, s, z, summed, wide, both = (
        f"{name}:{part}" for part in ("turned", "scale", "q", "s", "z", "summed", "wide", "both")
    )
    of_matrix = [
        make("Transpose", [matrix], [turned], perm=[1, 0]),
        make("Transpose", [scale], [scales], perm=[1, 0]),
    ]
    of_product = [
        make("DynamicQuantizeLinear", [x], [q, s, z]),
        make("MatMulInteger", [q, turned, z], [summed]),
        make("Cast", [summed], [wide], to=1),
        make("Mul", [s, scales], [both]),
        make("Mul", [wide, both], [result]),
    ]
    return of_matrix, of_product
