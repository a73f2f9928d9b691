"""Weights of voxceleb_trainer, WeSpeaker and 3D-Speaker: a small stand-in of each format, as those write them."""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ds2f.cli import main
from ds2f.errors import UserError
from ds2f.models.speaker.encoder import VoiceConfig, VoiceNetwork
from ds2f.models.speaker.foreign import convert, load_foreign
from ds2f.voice import encoders

AUDIO = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))


def small(network: Any, seed: int = 0, **options: Any) -> VoiceNetwork:
    """With weights and statistics that are not those of the beginning."""
    torch.manual_seed(seed)
    found = VoiceNetwork(VoiceConfig.usual(network, **options)).eval()
    for module in found.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return found


def of_trainer(network: VoiceNetwork) -> dict[str, Tensor]:
    """A state as voxceleb_trainer saves it: the network in `__S__`, the loss in `__L__`, torchaudio's buffers."""
    inside = "torchfb." if network.config.network == "resnetse34l" else "torchfb.1."
    state = {f"__S__.{name}": value for name, value in network.network.state_dict().items()}
    state[f"__S__.{inside}spectrogram.window"] = torch.hamming_window(400)
    state[f"__S__.{inside}mel_scale.fb"] = network.features.bank.clone()
    if network.config.features.preemphasis:
        state["__S__.torchfb.0.flipped_filter"] = torch.tensor([[[-0.97, 1.0]]])
    return {**state, "__L__.w": torch.tensor(10.0), "__L__.b": torch.tensor(-5.0)}


def of_wespeaker(network: VoiceNetwork) -> dict[str, Tensor]:
    """avg_model.pt: the network, and the projection of its loss."""
    return {**network.network.state_dict(), "projection.weight": torch.zeros(7, network.config.dim)}


@pytest.mark.parametrize(
    ("network", "form", "options", "wrapped"),
    [
        ("resnetse34l", of_trainer, {"width": 8}, lambda s: s),
        ("resnetse34l", of_trainer, {"width": 8, "spread": True}, lambda s: {"model": s}),
        (
            "resnetse34v2",
            of_trainer,
            {"width": 8},
            lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}, "param_groups": []}, "epoch": 9},
        ),
        ("resnetse34v2", of_trainer, {"width": 8, "spread": False}, lambda s: {f"module.{k}": v for k, v in s.items()}),
        ("resnet34", of_wespeaker, {"width": 8, "blocks": (2, 2, 2, 2)}, lambda s: s),
        ("ecapa-tdnn", of_wespeaker, {"width": 16, "last": 24}, lambda s: {"state_dict": s}),
        ("ecapa-tdnn", of_wespeaker, {"width": 16, "last": 24, "context": False}, lambda s: s),
    ],
)
def test_a_network_hears_as_before(
    network: Any,
    form: Callable[[VoiceNetwork], dict[str, Tensor]],
    options: dict[str, Any],
    wrapped: Callable[[dict[str, Tensor]], dict[str, Any]],
    tmp_path: Path,
) -> None:
    theirs = small(network, **options)
    torch.save(wrapped(form(theirs)), tmp_path / "their.pt")
    ours, origin = load_foreign(tmp_path / "their.pt")
    assert origin == ("voxceleb_trainer" if form is of_trainer else "wespeaker")
    assert ours.config.features == theirs.config.features
    with torch.no_grad():
        torch.testing.assert_close(ours(AUDIO), theirs(AUDIO), rtol=1e-6, atol=1e-6)
    path, spec = tmp_path / "voice", f"ds2f:{tmp_path / 'voice'}"
    convert(tmp_path / "their.pt", path, licence="CC BY 4.0")
    found = encoders.load(spec, precision="float32")
    assert found.licence == "CC BY 4.0"
    expected = torch.nn.functional.normalize(theirs(AUDIO), dim=1).detach().numpy()
    np.testing.assert_allclose(found.embed(AUDIO.numpy()), expected, atol=2e-5)
    assert json.loads((path / "voice.json").read_text())["card"]["origin"] == origin


def their_campplus(dim: int = 24) -> dict[str, Tensor]:
    """A state with the names and shapes of WeSpeaker's CAMPPlus(feat_dim=80, embed_dim=dim), which are 3D-Speaker's."""
    random, state = torch.Generator().manual_seed(0), dict[str, Tensor]()

    def norm(name: str, width: int, affine: bool = True) -> None:
        state[f"{name}.running_mean"] = 0.1 * torch.randn(width, generator=random)
        state[f"{name}.running_var"] = 0.5 + torch.rand(width, generator=random)
        state[f"{name}.num_batches_tracked"] = torch.tensor(3)
        if affine:
            state[f"{name}.weight"] = 0.5 + torch.rand(width, generator=random)
            state[f"{name}.bias"] = 0.1 * torch.randn(width, generator=random)

    def layer(name: str, *shape: int, bias: bool = False) -> None:
        inside = int(np.prod(shape[1:]))
        state[f"{name}.weight"] = torch.randn(shape, generator=random) * inside**-0.5
        if bias:
            state[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=random)

    layer("head.conv1", 32, 1, 3, 3)
    norm("head.bn1", 32)
    for name in ("layer1.0", "layer1.1", "layer2.0", "layer2.1"):
        for number in (1, 2):
            layer(f"head.{name}.conv{number}", 32, 32, 3, 3)
            norm(f"head.{name}.bn{number}", 32)
        if name.endswith(".0"):
            layer(f"head.{name}.shortcut.0", 32, 32, 1, 1)
            norm(f"head.{name}.shortcut.1", 32)
    layer("head.conv2", 32, 32, 3, 3)
    norm("head.bn2", 32)
    layer("xvector.tdnn.linear", 128, 320, 5)
    norm("xvector.tdnn.nonlinear.batchnorm", 128)
    width = 128
    for block, layers in enumerate((12, 24, 16), 1):
        for number in range(1, layers + 1):
            inside = f"xvector.block{block}.tdnnd{number}"
            norm(f"{inside}.nonlinear1.batchnorm", width)
            layer(f"{inside}.linear1", 128, width, 1)
            norm(f"{inside}.nonlinear2.batchnorm", 128)
            layer(f"{inside}.cam_layer.linear_local", 32, 128, 3)
            layer(f"{inside}.cam_layer.linear1", 64, 128, 1, bias=True)
            layer(f"{inside}.cam_layer.linear2", 32, 64, 1, bias=True)
            width += 32
        norm(f"xvector.transit{block}.nonlinear.batchnorm", width)
        layer(f"xvector.transit{block}.linear", width // 2, width, 1)
        width //= 2
    norm("xvector.out_nonlinear.batchnorm", width)
    layer("xvector.dense.linear", dim, 2 * width, 1)
    norm("xvector.dense.nonlinear.batchnorm", dim, affine=False)
    return state


def test_campplus_hears_as_the_one_in_the_box_does_with_the_same_weights(tmp_path: Path) -> None:
    """The script that made the one in the box folds the normalisation in by itself."""
    from ds2f.voice.campplus import Network

    place = Path(__file__).parents[3] / "scripts" / "pack_campplus.py"
    spec = importlib.util.spec_from_file_location("pack_campplus", place)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    state = their_campplus(dim=192)
    torch.save(state, tmp_path / "campplus.pt")
    ours, origin = load_foreign(tmp_path / "campplus.pt", "3d-speaker")
    assert (origin, ours.config.features.window, ours.config.features.scale) == ("3d-speaker", "povey", 1.0)
    box = Network().eval()
    box.load_state_dict(script.convert(state))
    with torch.no_grad():
        expected = box.embedding(box(ours.features(AUDIO)))
        torch.testing.assert_close(ours(AUDIO), expected, rtol=1e-4, atol=1e-4)
    again, origin = load_foreign(tmp_path / "campplus.pt")
    assert (origin, again.config.features.window, again.config.features.scale) == ("wespeaker", "hamming", 32768.0)


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, ("this must never be said",))


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace("sap_linear", "pooling"): value for name, value in state.items()}


def _cut(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != "__S__.layer3.2.conv2.weight"}


def _wide(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**state, "__S__.layer2.0.conv1.weight": torch.zeros(9, 8, 3, 3)}


def _other_bands(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**state, "__S__.torchfb.mel_scale.fb": state["__S__.torchfb.mel_scale.fb"].flip(0)}


@pytest.mark.parametrize(
    ("made_of", "words"),
    [
        (lambda s: {**s, "extra": Code()}, "holds code (setattr), which ds2f does not run"),
        (lambda s: {**s, "args": argparse.Namespace(lr=1)}, "holds code (argparse.Namespace), which ds2f does not run"),
        (lambda s: [1, 2], "contains no network state"),
        (lambda s: {"epoch": 3}, "contains no network state"),
        (_renamed, "fits no network of ds2f (its tensors: "),
        (_cut, "does not fit resnetse34l"),
        (_wide, "does not fit resnetse34l"),
        (_other_bands, "was trained on other mel bands"),
    ],
)
def test_what_is_no_such_network_is_refused_in_a_sentence(
    made_of: Callable[[dict[str, Tensor]], Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "their.model", tmp_path / "voice"
    torch.save(made_of(of_trainer(small("resnetse34l", width=8))), path)
    assert main(["convert-voice", str(path), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert words in " ".join(said.err.split())
    assert "never be said" not in said.out + said.err
    assert not out.exists()


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("Dear Sir or Madam")
    (tmp_path / "text.safetensors").write_text("Dear Sir or Madam")
    for name in ("text.pt", "text.safetensors"):
        with pytest.raises(UserError, match="is not a torch or safetensors checkpoint, or it is damaged"):
            load_foreign(tmp_path / name)
    with pytest.raises(UserError, match="There is no checkpoint"):
        load_foreign(tmp_path / "none.pt")
    with pytest.raises(UserError, match="cannot be read"):
        load_foreign(tmp_path)


def test_bottlenecks_and_other_origins_are_refused(tmp_path: Path) -> None:
    state = of_wespeaker(small("resnet34", width=8))
    torch.save({**state, "layer1.0.conv3.weight": torch.zeros(16, 8, 1, 1)}, tmp_path / "r50.pt")
    with pytest.raises(UserError, match="without bottlenecks"):
        load_foreign(tmp_path / "r50.pt")
    torch.save(state, tmp_path / "r34.pt")
    for origin in ("voxceleb_trainer", "3d-speaker"):
        with pytest.raises(UserError, match=f"is a resnet34, which {origin} does not train"):
            load_foreign(tmp_path / "r34.pt", origin)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(of_trainer(small("resnetse34v2", width=8)), tmp_path / "their.model")
    words = ["convert-voice", str(tmp_path / "their.model"), "--out", str(tmp_path / "voice")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "resnetse34v2 of voxceleb_trainer, 512 numbers per voice, is in" in said
    assert "It reads 64 log mel bands (torchaudio's, hamming window), normalised by instance." in said
    assert sorted(p.name for p in (tmp_path / "voice").iterdir()) == ["voice.json", "voice.safetensors"]
    assert main(words) == 2
    assert "holds a speaker encoder already" in capsys.readouterr().err
