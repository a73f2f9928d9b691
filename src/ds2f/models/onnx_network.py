"""A network in an ONNX file as a PyTorch module: differentiable, in batches and on any device.

`onnx_operators` lists the supported operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional
from ds2f.models.onnx_operators import OPERATORS, Attributes, Operator, operator_of


@dataclass(frozen=True)
class _Node:
    operator: Operator
    inputs: tuple[str, ...]  # "" for an omitted optional input
    output: str
    attributes: Attributes


class OnnxNetwork(nn.Module):
    """Pictures, in the file's format, to (n, d) float32, its first output. Frozen: only pictures receive gradients.

    shape: of its input, without the batch; 0 where the file leaves it open.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError for a file that is not an ONNX network, or that has an unsupported operator."""
        super().__init__()
        onnx = optional("onnx", "judges", f"The network {path}")
        try:
            model = onnx.load(str(path))
        except Exception as error:  # noqa: BLE001 - whatever protobuf raises for an unreadable file
            raise UserError(f"{path} is not an ONNX network ({first_line(error)}).") from None
        graph = model.graph
        opset = max((i.version for i in model.opset_import if i.domain in ("", "ai.onnx")), default=1)
        self._floats: list[str] = []  # names of the tensors in the buffers
        self._others: dict[str, Tensor] = {}  # integers are shapes and axes, which stay on the CPU
        self._nodes: list[_Node] = []
        for tensor in graph.initializer:
            self._keep(tensor.name, onnx.numpy_helper.to_array(tensor))
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                ((kind, value),) = attributes.items()
                self._keep(node.output[0], onnx.numpy_helper.to_array(value) if kind == "value" else np.array(value))
            elif node.op_type in OPERATORS and not any(node.output[1:]):
                operator = operator_of(node.op_type, opset)
                self._nodes.append(_Node(operator, tuple(node.input), node.output[0], attributes))
            else:
                raise UserError(
                    f"The network {path} has the operator {node.op_type}, which is not supported; supported are "
                    f"{', '.join(sorted(OPERATORS))}."
                )
        known = {tensor.name for tensor in graph.initializer}  # older files list these among the inputs
        entry = next(value for value in graph.input if value.name not in known)
        self._entry, self._exit = entry.name, graph.output[0].name
        batch, *shape = [int(d.dim_value) for d in entry.type.tensor_type.shape.dim]
        self.shape, self._batch = tuple(shape), batch
        self._last_asked = self._last_asked_by()
        self.requires_grad_(False)
        if batch and all(shape) and self._takes_any_batch():
            self._batch = 0

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, ...) float32, for any n, even if the file states a batch size."""
        if not self._batch or len(x) == self._batch:
            return self._run(x)
        lacking = -len(x) % self._batch
        full = torch.cat([x, x[:1].expand(lacking, *x.shape[1:])])
        return torch.cat([self._run(part) for part in full.split(self._batch)])[: len(x)]

    def _run(self, x: Tensor) -> Tensor:
        values: dict[str, Tensor] = dict(zip(self._floats, self.buffers(), strict=True))
        values |= self._others
        values[self._entry] = x
        for node in self._nodes:
            inputs = [values[name] if name else None for name in node.inputs]
            values[node.output] = node.operator(node.attributes, inputs)
            for name in self._last_asked[node.output]:  # otherwise all would be in memory at the end
                values.pop(name, None)
        return values[self._exit]

    def _last_asked_by(self) -> dict[str, list[str]]:
        """{output of a node: tensors that no later node needs}."""
        last = {name: node.output for node in self._nodes for name in node.inputs if name not in ("", self._exit)}
        found: dict[str, list[str]] = {node.output: [] for node in self._nodes}
        for name, node in last.items():
            found[node].append(name)
        return found

    def _takes_any_batch(self) -> bool:
        """Whether the network works with any batch size, whatever the file states: most files merely record one."""
        some = torch.randn(self._batch + 1, *self.shape, generator=torch.Generator().manual_seed(0))
        try:
            found, apart = self._run(some), self(some)
        except (RuntimeError, ValueError):  # for example a shape that includes the batch
            return False
        return found.shape == apart.shape and torch.allclose(found, apart, atol=1e-4, rtol=1e-4)

    def _keep(self, name: str, value: np.ndarray) -> None:
        if np.issubdtype(value.dtype, np.floating):
            self.register_buffer(f"constant_{len(self._floats)}", torch.from_numpy(value.astype(np.float32)))
            self._floats.append(name)
        else:
            self._others[name] = torch.from_numpy(value.copy())
