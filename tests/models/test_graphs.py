"""Graphs compute what the modules do that they were made of, from the same file of weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.errors import UserError
from ds2f.models import folders, store
from ds2f.models.alignment import Alignment, AlignmentConfig
from ds2f.models.attributes import AttributeHead, AttributesConfig
from ds2f.models.graphs import Graph, default_threads, graph_of, header_of, mark_of
from ds2f.models.prior import Prior, PriorConfig
from ds2f.models.super_resolution import SuperResolution, SuperResolutionConfig
from ds2f.speech2face import graphs
from helpers import tiny_decoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with a decoder whose every weight is somewhere, the fast one that it taught, and super-resolution."""
    torch.manual_seed(0)
    decoder = tiny_decoder(every_condition=True)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    decoder.linear_face.normal_(std=0.02)
    store.save(tmp_path, decoder, {}, "int8")
    fast = type(decoder)(type(decoder.config)(**{**vars(decoder.config), "few_steps": 2}))
    fast.load_state_dict(decoder.state_dict())
    store.save(tmp_path, fast, {"teacher": folders.digest(tmp_path, "decoder")}, "int8")
    prior = Prior(PriorConfig({"campplus-frames": 12}, identity_dim=decoder.config.conditions["identity"], width=32))
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    prior.linear.normal_()
    store.save(tmp_path, prior, {})
    head, alignment = AttributeHead(AttributesConfig(width=16)), Alignment(AlignmentConfig({"campplus-frames": 12}))
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    store.save(tmp_path, head, {})
    store.save(tmp_path, alignment, {})
    enlarge = SuperResolution(SuperResolutionConfig(decoder.config.size, 2, (8, 12), (1, 1)))
    torch.nn.init.normal_(enlarge.leave.weight, std=0.02)
    store.save(tmp_path, enlarge, {})
    return tmp_path


def test_exported_graphs_compute_what_pytorch_does(folder: Path, tmp_path: Path) -> None:
    made = graphs.export(folder, tmp_path / "graphs")
    assert [one.path.name for one in made] == [
        "voice.onnx", "prior.onnx", "fast-decoder.onnx", "super-resolution.onnx", "attributes.onnx", "alignment.onnx",
    ]  # fmt: skip
    assert all(one.difference < (1e-4 if "super" in one.path.name else 1e-3) for one in made)
    assert graph_of(tmp_path / "graphs", "fast-decoder") is not None
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    assert made[2].path.stat().st_size < weights, "the graph points at the weights"
    small = graphs.export(folder, tmp_path / "small", size=store.load_decoder(folder).config.size)
    assert {one.path.name for one in made} - {one.path.name for one in small} == {"super-resolution.onnx"}


def test_whole_numbers_are_near_and_rows_do_not_depend_on_how_many_there_are(folder: Path) -> None:
    made = graphs.write_fast_decoder(folder, whole=True)
    assert 1e-6 < made.difference < 0.2
    graph, size = Graph(made.path), 16
    size = store.load_decoder(folder).config.size
    z = np.random.default_rng(0).standard_normal((3, 3, size, size), np.float32)
    given = {"z": z, "t": np.full(3, 0.3), "identity": np.zeros((3, 128))}
    shapes = [graph(**{k: v[:n].astype(np.float32) for k, v in given.items()})[0].shape for n in (1, 3)]
    assert shapes == [(1, *z.shape[1:]), z.shape]


def test_a_graph_is_used_with_the_weights_that_it_fits_and_no_others(folder: Path) -> None:
    assert graph_of(folder, "prior") is None, "there is none yet"
    graphs.write_prior(folder)
    assert graph_of(folder, "prior") is not None
    description = json.loads((folder / "prior.json").read_text())
    description["config"]["depth"] += 1
    (folder / "prior.json").write_text(json.dumps(description))
    assert graph_of(folder, "prior") is None, "another network"
    places, start = header_of(folder / "prior.safetensors")
    assert start + max(p["data_offsets"][1] for p in places.values()) == (folder / "prior.safetensors").stat().st_size
    assert mark_of(folder / "prior.safetensors") != mark_of(folder / "decoder.safetensors")


def test_what_can_be_mended_is_said(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"broken\.onnx cannot be used"):
        Graph(tmp_path / "broken.onnx")
    (folder / "fast-decoder.json").unlink()
    with pytest.raises(UserError, match="ds2f train fast-decoder"):
        graphs.write_fast_decoder(folder, whole=False)


def test_threads_are_those_that_openmp_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert default_threads() >= 1
