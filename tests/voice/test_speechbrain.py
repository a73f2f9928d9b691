"""Tiny models with random weights in SpeechBrain's own format, through the real library.

It needs a torchaudio that loads beside this torch. Where there is none these tests are skipped, and stand-ins check the
calls (test_encoders.py, test_language.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.errors import UserError
from ds2f.io.extras import optional
from ds2f.voice import encoders, language
from helpers import noise, silence, tone

CLIPS = np.stack([tone(1.0, 200), noise(1.0)])

MODEL = """
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 80
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: 80
    channels: [16, 16, 16, 16, 48]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 8
    res2net_scale: 2
    se_channels: 8
    lin_neurons: 12
classifier: !new:speechbrain.lobes.models.{classifier}
    {inputs}
    out_neurons: 3
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        label_encoder: {folder}/label_encoder.txt
"""
LOG_POSTERIORS = ("Xvector.Classifier", "input_shape: [null, null, 12]\n    lin_blocks: 1\n    lin_neurons: 8")
COSINES = ("ECAPA_TDNN.Classifier", "input_size: 12")


def _folder(path: Path, classifier: tuple[str, str]) -> Path:
    try:
        optional("speechbrain.inference.classifiers", "speechbrain", "This test")
    except UserError as error:
        pytest.skip(str(error))
    from hyperpyyaml import load_hyperpyyaml
    from speechbrain.dataio.encoder import CategoricalEncoder

    path.mkdir()
    text = MODEL.format(classifier=classifier[0], inputs=classifier[1], folder=path)
    (path / "hyperparams.yaml").write_text(text)
    torch.manual_seed(0)
    parts = load_hyperpyyaml(text)
    for name in ("embedding_model", "classifier"):
        torch.save(parts[name].state_dict(), path / f"{name}.ckpt")
    labels = CategoricalEncoder()
    labels.update_from_iterable(["et: Estonian", "iw: Hebrew", "Ukranian"])
    labels.save(str(path / "label_encoder.txt"))
    return path


def test_speaker_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _folder(tmp_path / "tiny-ecapa", COSINES)
    monkeypatch.chdir(tmp_path)
    encoder = encoders.load(f"speechbrain:{folder}")
    vectors = encoder.embed(np.stack([*CLIPS, silence(1.0)]))
    assert (encoder.name, encoder.dim, vectors.shape) == ("speechbrain/tiny-ecapa", 12, (3, 12))
    np.testing.assert_allclose(np.linalg.norm(vectors[:2], axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(encoder.embed(CLIPS[1:]), vectors[1:2], atol=1e-4)
    assert vectors[0] @ vectors[1] < 0.999, "other sounds, other vectors"
    assert np.isnan(vectors[2]).all()
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-ecapa"], "nothing is left behind where we stand"


@pytest.mark.parametrize("classifier", [LOG_POSTERIORS, COSINES])
def test_languages(tmp_path: Path, classifier: tuple[str, str]) -> None:
    found = language.load(f"speechbrain:{_folder(tmp_path / 'tiny', classifier)}").predict(CLIPS)
    assert len(found) == 2
    assert all(f.code in ("et", "he", "uk") and 1 / 3 < f.probability <= 1 for f in found)


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    _folder(tmp_path / "tiny", COSINES)
    with pytest.raises(UserError, match="The encoder speechbrain cannot load"):
        encoders.load(f"speechbrain:{tmp_path}")
