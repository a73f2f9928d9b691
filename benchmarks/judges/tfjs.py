"""Networks published for the browser (TensorFlow.js graph models), rewritten as ONNX files, which Python runs.

Only the operations that the judges beside this file need; an unknown one is a KeyError. Pictures go in and out as
TensorFlow has them, (n, height, width, channels).
"""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Node = dict[str, Any]
SIMPLE = {"Relu": "Relu", "Sigmoid": "Sigmoid", "Softmax": "Softmax", "Identity": "Identity", "Add": "Add"}
SIMPLE |= {"AddV2": "Add", "Sub": "Sub", "Mul": "Mul", "Minimum": "Min", "Maximum": "Max"}


def convert(model: Path, outputs: dict[str, str], to: Path) -> None:
    """model: a graph model's JSON, its weights beside it; outputs: {name in the new file: node}; to: the ONNX file."""
    described = json.loads(model.read_text("utf-8"))
    nodes: list[Node] = described["modelTopology"]["node"]
    graph = _Graph(_weights(model, described["weightsManifest"]))
    (entry,) = (node for node in nodes if node["op"] == "Placeholder")
    shape = [int(d["size"]) for d in entry["attr"]["shape"]["shape"]["dim"]]
    graph.add("Transpose", [entry["name"]], f"{entry['name']}/first", perm=[0, 3, 1, 2])
    graph.names[entry["name"]] = f"{entry['name']}/first"
    for node in nodes:
        if node["op"] not in ("Const", "Placeholder"):
            graph.translate(node)
    for name, node_name in outputs.items():
        graph.add("Identity", [graph.names.get(node_name, node_name)], name)
    made = helper.make_graph(
        graph.nodes,
        model.stem,
        [helper.make_tensor_value_info(entry["name"], TensorProto.FLOAT, ["n", *shape[1:]])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", f"{name} numbers"]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items() if name in graph.used],
    )
    file = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(file)
    onnx.save(file, str(to))


def write(model: Path, outputs: dict[str, str], beside: dict[str, Any], folder: Path) -> str:
    """Write a converted model and `beside`, its JSON file, to a folder; returns how ds2f.toml names it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{model.stem}.onnx"
    convert(model, outputs, file)
    file.with_suffix(".json").write_text(json.dumps(beside, indent=1) + "\n", "utf-8")
    return f"onnx:{file}"


def main(says: str, key: str, outputs: dict[str, str], beside: dict[str, Any]) -> None:
    """Write a judge to the folder that the command line names, and print the line for ds2f.toml.

    says: what the judge is. key: that line, with {} for its name. outputs, beside: see `convert` and `write`.
    """
    parser = argparse.ArgumentParser(description=says, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="JSON file of the package, its .bin beside it")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    print(key.format(write(options.model, outputs, beside, options.out)))


class _Graph:
    """What has been translated: pictures are (n, channels, height, width) inside, vectors (n, d)."""

    def __init__(self, constants: dict[str, np.ndarray]) -> None:
        self.constants, self.used = constants, set[str]()
        self.nodes: list[onnx.NodeProto] = []
        self.names: dict[str, str] = {}
        self.flat: set[str] = set()  # what are vectors

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.used |= set(inputs)
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def translate(self, node: Node) -> None:
        op, out, attributes = node["op"], node["name"], node.get("attr", {})
        first, *others = [self.names.get(name.split(":")[0], name.split(":")[0]) for name in node["input"]]
        if op in SIMPLE:
            inputs = [first, *others]
            if any(name in self.flat for name in inputs):
                self.flat.add(out)
            else:
                inputs = [self._channels(name) for name in inputs]
            more = {"axis": 1} if op == "Softmax" else {}
            self.add(SIMPLE[op], inputs, out, **more)
        elif op in ("Conv2D", "_FusedConv2D"):
            kernel = self.constant(f"{out}/kernel", self.constants[others[0]].transpose(3, 2, 0, 1))
            self._activated(node, "Conv", [first, kernel, *others[1:]], **_geometry(attributes))
        elif op == "DepthwiseConv2dNative":
            values = self.constants[others[0]]
            height, width, channels, multiplier = values.shape
            moved = values.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
            weights = self.constant(f"{out}/kernel", moved)
            self.add("Conv", [first, weights], out, group=channels, **_geometry(attributes))
        elif op == "MaxPool":
            size = [int(i) for i in attributes["ksize"]["list"]["i"]][1:3]
            self.add("MaxPool", [first], out, kernel_shape=size, **_geometry(attributes))
        elif op in ("Mean", "Max"):  # over height and width
            kind = {"Mean": "ReduceMean", "Max": "ReduceMax"}[op]
            self.add(kind, [first], out, axes=[2, 3], keepdims=0)
            self.flat.add(out)
        elif op == "Pad":  # (n, h, w, c) in pairs to all starts, then all ends, of (n, c, h, w)
            pads = self.constants[others[0]][[0, 3, 1, 2]].T.reshape(-1).astype(np.int64)
            self.add("Pad", [first, self.constant(f"{out}/pads", pads)], out)
        elif op == "Reshape":  # to a vector, in TensorFlow's order
            self.add("Transpose", [first], f"{out}/last", perm=[0, 2, 3, 1])
            self.add("Flatten", [f"{out}/last"], out)
            self.flat.add(out)
        elif op in ("MatMul", "_FusedMatMul"):
            self.flat.add(out)
            self._activated(node, "Gemm", [first, *others])
        else:
            raise KeyError(f"{op} of {out} is not known here")

    def _activated(self, node: Node, op: str, inputs: list[str], **attributes: Any) -> None:
        fused = node.get("attr", {}).get("fused_ops", {}).get("list", {}).get("s", [])
        if "Relu" in [base64.b64decode(name).decode() for name in fused]:
            self.add(op, inputs, f"{node['name']}/before", **attributes)
            self.add("Relu", [f"{node['name']}/before"], node["name"])
        else:
            self.add(op, inputs, node["name"], **attributes)

    def _channels(self, name: str) -> str:
        """A constant with a number for each channel, as (channels, 1, 1)."""
        value = self.constants.get(name)
        return name if value is None or value.ndim != 1 else self.constant(f"{name}/channels", value[:, None, None])


def _geometry(attributes: dict[str, Any]) -> dict[str, Any]:
    padding = base64.b64decode(attributes["padding"]["s"]).decode()
    strides = [int(i) for i in attributes["strides"]["list"]["i"]][1:3]
    return {"strides": strides, "auto_pad": {"SAME": "SAME_UPPER", "VALID": "VALID"}[padding]}


def _weights(model: Path, manifest: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    found = {}
    for group in manifest:
        data, place = b"".join((model.parent / path).read_bytes() for path in group["paths"]), 0
        for weight in group["weights"]:
            stored = np.dtype(weight.get("quantization", {}).get("dtype", weight["dtype"]))
            count = int(np.prod(weight["shape"], dtype=int))
            values = np.frombuffer(data, stored, count, place).reshape(weight["shape"])
            found[weight["name"]] = values.astype(weight["dtype"])
            place += count * stored.itemsize
    return found
