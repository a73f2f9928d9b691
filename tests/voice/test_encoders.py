from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from ds2f.config import Audio
from ds2f.errors import UserError
from ds2f.voice import encoders
from ds2f.voice.base import unit_rows
from ds2f.voice.encode import VoiceEncoder
from helpers import noise, silence, tone

CLIPS = np.stack([tone(1.0, 200), tone(1.0, 300), noise(1.0)])


def test_names_are_short_and_load_nothing() -> None:
    before = set(sys.modules)
    specs = {
        "resemblyzer": "resemblyzer",
        "wespeaker:/models/voxceleb_resnet34_LM.onnx": "wespeaker/voxceleb_resnet34_LM",
        "speechbrain:speechbrain/spkrec-ecapa-voxceleb": "speechbrain/spkrec-ecapa-voxceleb",
        "pyannote:pyannote/wespeaker-voxceleb-resnet34-LM": "pyannote/wespeaker-voxceleb-resnet34-LM",
        "titanet:models/titanet-l.nemo": "titanet/titanet-l",
    }
    assert {spec: encoders.name_of(spec) for spec in specs} == specs
    assert set(sys.modules) - before == set()
    assert encoders.name_of("speechbrain:.") == f"speechbrain/{Path.cwd().name}"


@pytest.mark.parametrize("spec", ["", "ecapa", "wespeaker", "wespeaker:", "resemblyzer:x"])
def test_what_means_no_encoder(spec: str) -> None:
    with pytest.raises(UserError, match="no speaker encoder"):
        encoders.name_of(spec)


def test_resemblyzer_takes_a_batch() -> None:
    encoder = encoders.load("resemblyzer")
    voices = np.stack([noise(2.0, 0.2, seed) for seed in (0, 1)])
    together = encoder.embed(voices)
    assert together.shape == (2, encoder.dim)
    for alone, row in zip(voices, together, strict=True):
        np.testing.assert_allclose(encoder.embed(alone[None])[0], row, atol=1e-5)


def test_resemblyzer_says_where_it_hears_nothing() -> None:
    assert np.isnan(encoders.load("resemblyzer").embed(np.zeros((1, 32_000), np.float32))).all()


def test_vectors_have_length_one_or_are_none_at_all() -> None:
    clips = np.stack([noise(0.1), silence(0.1), noise(0.1)])
    rows = unit_rows(np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]]), clips)
    np.testing.assert_allclose(rows[0], [0.6, 0.8], rtol=1e-6)
    assert rows.dtype == np.float32
    assert np.isnan(rows[1:]).all(), "silence, and a network that says nothing"


# ── WeSpeaker: a tiny file in its format, through the real runtime ────────────────────────────────


def _onnx(path: Path, bins: int = 80, dim: int = 8, quantised: bool = False) -> Path:
    """feats (n, frames, bins) to embs (n, dim): mean square over frames, times a random matrix.

    quantised: to 8 bit of the range of what goes in, as `quantize_dynamic` of ONNX Runtime has it.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[dev]'")
    weight = np.random.default_rng(0).standard_normal((bins, dim)).astype(np.float32)
    rounding = [
        onnx.helper.make_node("DynamicQuantizeLinear", ["feats"], list("qsz")),
        onnx.helper.make_node("DequantizeLinear", list("qsz"), ["rounded"]),
    ]
    nodes = [
        *(rounding if quantised else []),
        onnx.helper.make_node("Mul", 2 * ["rounded" if quantised else "feats"], ["square"]),
        onnx.helper.make_node("ReduceMean", ["square"], ["pooled"], axes=[1], keepdims=0),
        onnx.helper.make_node("MatMul", ["pooled", "weight"], ["embs"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "encoder",
        [onnx.helper.make_tensor_value_info("feats", onnx.TensorProto.FLOAT, ["B", "T", bins])],
        [onnx.helper.make_tensor_value_info("embs", onnx.TensorProto.FLOAT, ["B", dim])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


def test_wespeaker_files(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'ds2f[wespeaker]'")
    encoder = encoders.load(f"wespeaker:{_onnx(tmp_path / 'tiny.onnx')}")
    # Of a steady tone the tiny network would see nothing but rounding: features have no mean over time.
    clips = np.stack([np.concatenate([tone(0.5, hertz), noise(0.5)]) for hertz in (200, 2000)] + [noise(1.0)])
    vectors = encoder.embed(clips)
    assert (encoder.name, encoder.dim, vectors.shape) == ("wespeaker/tiny", 8, (3, 8))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(clips[1:2]), vectors[1:2], atol=1e-5)
    assert np.isnan(encoder.embed(silence(1.0)[None])).all()
    assert np.abs(vectors @ vectors.T - np.eye(3))[~np.eye(3, dtype=bool)].max() < 0.999, "other sounds, other vectors"


def test_a_voice_has_one_vector_whoever_is_beside_it(tmp_path: Path) -> None:
    """Also where a network rounds by the range of a whole batch."""
    pytest.importorskip("onnxruntime", reason="pip install 'ds2f[wespeaker]'")
    encoder = encoders.load(f"wespeaker:{_onnx(tmp_path / 'tiny.onnx', quantised=True)}")
    clips = np.stack([noise(1.0), np.concatenate([tone(0.5, 200), noise(0.5)])])
    np.testing.assert_array_equal(encoder.embed(clips)[0], encoder.embed(clips[:1])[0])


def test_wespeaker_features_are_those_of_kaldi(tmp_path: Path) -> None:
    """A tone puts its energy into the mel bin that holds it, and the mean over time is zero."""
    pytest.importorskip("onnxruntime", reason="pip install 'ds2f[wespeaker]'")
    encoder = encoders.load(f"wespeaker:{_onnx(tmp_path / 'tiny.onnx')}")
    half = np.concatenate([tone(1.0, 1000.0), noise(1.0, 1e-4)])
    features = encoder._features(half)  # type: ignore[attr-defined]
    assert features.shape == (198, 80), "25 ms windows each 10 ms, whole windows only"
    np.testing.assert_allclose(features.mean(0), 0.0, atol=1e-4)
    mel = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 82)[1:-1]
    loudest = int(features[:90].mean(0).argmax())
    assert abs(mel[loudest] - 1127 * np.log1p(1000 / 700)) < 60


def test_what_is_no_wespeaker_file(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'ds2f[wespeaker]'")
    with pytest.raises(UserError, match="no speaker encoder at"):
        encoders.load(f"wespeaker:{tmp_path / 'none.onnx'}")
    (tmp_path / "letter.onnx").write_text("Dear Sir or Madam")
    with pytest.raises(UserError, match="not a speaker encoder in WeSpeaker's ONNX format"):
        encoders.load(f"wespeaker:{tmp_path / 'letter.onnx'}")
    with pytest.raises(UserError, match=r"not \(n, frames, 80\)"):
        encoders.load(f"wespeaker:{_onnx(tmp_path / 'wide.onnx', bins=40)}")


# ── libraries that cannot be installed beside a CPU torch, or not without a download: stand-ins with their interface ──


def _module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    parts = name.split(".")
    for i in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:i]), ModuleType(".".join(parts[:i])))
    module = ModuleType(name)
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def _statistics(waveforms: torch.Tensor) -> torch.Tensor:
    """(n, samples) to (n, 3): something that a tiny model might say."""
    return torch.stack([waveforms.std(1), waveforms.diff(dim=1).std(1), torch.ones(len(waveforms))], 1)


class _Gone:
    """A model that cannot be had."""

    def __getattr__(self, name: str) -> object:
        def fail(*_: object, **__: object) -> None:
            raise OSError("offline")

        return fail


def test_speechbrain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class EncoderClassifier:
        @classmethod
        def from_hparams(cls, source: str, run_opts: dict[str, str]) -> EncoderClassifier:
            asked.append((source, run_opts))
            return cls()

        def encode_batch(self, wavs: torch.Tensor) -> torch.Tensor:
            return _statistics(wavs)[:, None]  # (n, 1, d), as SpeechBrain gives it

    _module(monkeypatch, "speechbrain.inference.classifiers", EncoderClassifier=EncoderClassifier)
    encoder = encoders.load("speechbrain:some/ecapa", "cpu")
    vectors = encoder.embed(CLIPS)
    assert asked == [("some/ecapa", {"device": "cpu"})]
    assert (encoder.name, encoder.dim, vectors.shape) == ("speechbrain/ecapa", 3, (3, 3))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    _module(monkeypatch, "speechbrain.inference.classifiers", EncoderClassifier=_Gone())
    with pytest.raises(UserError, match=r"cannot load some/ecapa \(offline\)"):
        encoders.load("speechbrain:some/ecapa")


def test_pyannote(monkeypatch: pytest.MonkeyPatch) -> None:
    class Net(torch.nn.Module):
        def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
            assert waveforms.dim() == 3  # (n, channel, samples)
            return _statistics(waveforms[:, 0])

    def model(result: object) -> SimpleNamespace:
        return SimpleNamespace(from_pretrained=lambda source: result)

    monkeypatch.delenv("PYANNOTE_METRICS_ENABLED", raising=False)
    _module(monkeypatch, "pyannote.audio", Model=model(Net()))
    encoder = encoders.load("pyannote:pyannote/some")
    assert (encoder.name, encoder.dim) == ("pyannote/some", 3)
    np.testing.assert_allclose(np.linalg.norm(encoder.embed(CLIPS), axis=1), 1.0, atol=1e-5)
    _module(monkeypatch, "pyannote.audio", Model=model(None))
    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "false", "nothing is told to anybody"
    with pytest.raises(UserError, match="accept its terms"):
        encoders.load("pyannote:pyannote/some")


def test_titanet(monkeypatch: pytest.MonkeyPatch) -> None:
    class EncDecSpeakerLabelModel(torch.nn.Module):
        @classmethod
        def restore_from(cls, path: str) -> EncDecSpeakerLabelModel:
            assert path.endswith(".nemo")
            return cls()

        @classmethod
        def from_pretrained(cls, source: str) -> EncDecSpeakerLabelModel:
            raise OSError("offline")

        def forward(self, input_signal: torch.Tensor, input_signal_length: torch.Tensor) -> tuple[None, torch.Tensor]:
            assert input_signal_length.tolist() == [input_signal.shape[1]] * len(input_signal)
            return None, _statistics(input_signal)

    _module(monkeypatch, "nemo.collections.asr.models", EncDecSpeakerLabelModel=EncDecSpeakerLabelModel)
    encoder = encoders.load("titanet:models/small.nemo")
    assert (encoder.name, encoder.dim) == ("titanet/small", 3)
    np.testing.assert_allclose(np.linalg.norm(encoder.embed(CLIPS), axis=1), 1.0, atol=1e-5)
    with pytest.raises(UserError, match=r"cannot load nvidia/titanet \(offline\)"):
        encoders.load("titanet:nvidia/titanet")


@pytest.mark.parametrize(
    ("spec", "module", "extra"),
    [
        ("speechbrain:x", "speechbrain", "speechbrain"),
        ("pyannote:x", "pyannote", "pyannote"),
        ("titanet:x", "nemo", "titanet"),
    ],
)
def test_a_missing_extra_says_how_to_get_it(
    spec: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # Python's mark for "must not be found"
    with pytest.raises(UserError, match=rf"pip install 'ds2f\[{extra}\]'"):
        encoders.load(spec)


def test_a_package_whose_compiled_part_does_not_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As torchaudio beside another torch: the reason is said, not thrown."""
    (tmp_path / "pyannote").mkdir()
    (tmp_path / "pyannote" / "audio.py").write_text("raise OSError('Could not load this library: lib.so')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"pyannote, which cannot be imported \(Could not load this library: lib.so\)"):
        encoders.load("pyannote:x")


def test_two_files_of_one_name_are_two_encoders(tmp_path: Path) -> None:
    for folder, dim in (("a", 8), ("b", 6)):
        (tmp_path / folder).mkdir()
        _onnx(tmp_path / folder / "resnet.onnx", dim=dim)
    audio = Audio(encoders=[f"wespeaker:{tmp_path / folder / 'resnet.onnx'}" for folder in "ab"])
    voices = VoiceEncoder(audio)
    assert [voices.encoder(f"wespeaker/{folder}/resnet").dim for folder in "ab"] == [8, 6]
