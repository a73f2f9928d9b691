"""Models as ONNX graphs, run by ONNX Runtime on the CPU: they draw a face without PyTorch, whose import alone takes as
long as encoding a voice and drawing its face.

A graph contains no weights: it refers to the safetensors file next to it (`models.graph_export`). It fits every file
with the same tensors at the same places, which it identifies by a mark: a hash of that file's header and of the model's
configuration.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional
from ds2f.models.folders import description
from ds2f.models.processor import cpu_has_vnni

MARK = "fits"
"""The metadata key of a graph that states which weights it fits; written last, so that it ends the file."""
NO_OVERFLOW = "session.x64quantprecision"
"""ONNX Runtime's option: where sums of products of 8-bit integers could overflow (AVX2, and AVX-512 without VNNI), use
instructions that cannot."""


def header_of(weights: Path) -> tuple[dict[str, Any], int]:
    """({tensor: {"dtype", "shape", "data_offsets"}}, offset of the tensors in the file), of a safetensors file.
    https://github.com/huggingface/safetensors#format"""
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        places = json.loads(file.read(length))
    places.pop("__metadata__", None)
    return places, 8 + length


def mark_of(weights: Path, config: Mapping[str, Any] | None = None) -> str:
    """The mark of a graph for such weights and such a configuration."""
    known = json.dumps([header_of(weights), config], sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def fits(graph: Path, mark: str) -> bool:
    """Whether there is such a graph and it has this mark."""
    try:
        return graph.read_bytes().endswith(mark.encode())
    except OSError:
        return False


def graph_of(folder: Path, kind: str) -> Path | None:
    """The graph of a model in a folder ("prior", "fast-decoder", "super-resolution"), if it exists and fits its
    weights."""
    graph, weights = folder / f"{kind}.onnx", folder / f"{kind}.safetensors"
    if not (graph.is_file() and weights.is_file()):
        return None
    return graph if fits(graph, mark_of(weights, description(folder, kind)["config"])) else None


class Graph:
    """A graph, ready to run: NumPy arrays in, by name, and NumPy arrays out. Any thread may call it."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """path: of the .onnx file; threads: None = as many as PyTorch would use.

        Raises UserError without ONNX Runtime, or for a graph that it cannot read.
        """
        runtime = optional("onnxruntime", "onnx", "A model as an ONNX graph")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.log_severity_level = 3  # errors only
        if not cpu_has_vnni():
            options.add_session_config_entry(NO_OVERFLOW, "1")
        try:
            self._session: Any = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime has no common class of errors
            raise UserError(f"The graph {path} cannot be used ({first_line(error)}).") from None

    def __call__(self, **given: np.ndarray) -> list[np.ndarray]:
        """The graph's outputs, in its order."""
        found: list[np.ndarray] = self._session.run(None, given)
        return found


def default_threads() -> int:
    """OMP_NUM_THREADS, or the number of processors that this process may use."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(said) if said.isdigit() and int(said) > 0 else allowed
