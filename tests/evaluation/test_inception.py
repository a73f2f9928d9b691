"""The FID, by a stand-in that is called as the real network is: TorchScript, uint8 pictures in, 2,048 numbers out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.config import Evaluate
from ds2f.dataset.queries import Pair
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.evaluation.embed import embedder
from ds2f.evaluation.inception import DIM, INCEPTION, Inception
from ds2f.evaluation.run import evaluate
from ds2f.io.images import decode_image
from ds2f.io.media import decode
from made_up_people import Embedder, draw


class StandIn(nn.Module):
    """The brightness of 32 x 64 places."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width

    def forward(self, img: Tensor, return_features: bool = False) -> Tensor:
        assert img.dtype == torch.uint8
        seen = F.interpolate(img.float().mean(1, keepdim=True), (32, self.width), mode="nearest").flatten(1)
        return seen if return_features else seen[:, :1008]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "inception.pt"
    torch.jit.script(StandIn()).save(str(path))
    return path


def test_features_are_those_of_the_network(file: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    found = Inception(file).features(pictures)
    assert (found.shape, found.dtype) == ((20, DIM), np.float64)
    np.testing.assert_allclose(found[19], pictures[19, ::2].mean(-1).reshape(-1), atol=1e-4)


def test_the_fid_of_the_true_faces_is_zero(database: Path, pairs: list[Pair], file: Path, tmp_path: Path) -> None:
    """The person's other clip is the true face, and its picture is what is shown."""
    inception, see = Inception(file), Embedder(pairs)
    crop = {pair.identity.tobytes(): decode_image(pair.crop) for pair in pairs}

    def embed(path: Path) -> dict[str, np.ndarray]:
        vector = see(path)["dlib"]
        return {"dlib": vector, INCEPTION: inception.features([crop[vector.tobytes()]])[0]}

    for name in ("true", "next"):
        draw(tmp_path / name, pairs[2:] if name == "next" else pairs)
    images = {"true": tmp_path / "true", "next": tmp_path / "next"}
    settings = Evaluate(bootstrap=20, allow_leak=True, inception=str(file))
    result = evaluate(database, images, "test", tmp_path / "out", settings, embed=embed)
    fid = {m.name: next((r for r in m.realism if r.space == INCEPTION), None) for m in result.methods}
    assert fid["true"] is not None
    assert fid["true"].frechet.value == pytest.approx(0, abs=1e-4)
    assert fid["next"] is not None
    assert fid["next"].frechet.value > 1
    assert fid["random face"] is None  # of which there are vectors, and no pictures
    assert result.provenance.versions[INCEPTION] == inception.fingerprint
    page = result.report_file.read_text()
    assert "the Fréchet distance is the FID" in page
    assert "this is not the FID" not in page


def test_a_picture_is_seen_as_a_stored_one_is(file: Path, tmp_path: Path) -> None:
    Image.fromarray(decode(samples() / "person-1.mp4", frames=1, sound=False).frames[0].image).save(tmp_path / "a.png")
    found = embedder(["dlib"], str(file))(tmp_path / "a.png")
    assert {space: vector.shape for space, vector in found.items()} == {"dlib": (128,), INCEPTION: (DIM,)}


def test_what_is_no_inception_gets_a_sentence(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no file .*; \[evaluate\] inception must be"):
        Inception(tmp_path / "nothing.pt")
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(UserError, match=r"text\.pt cannot be used"):
        Inception(tmp_path / "text.pt")
    torch.jit.script(StandIn(8)).save(str(tmp_path / "small.pt"))
    with pytest.raises(UserError, match=r"gives \(256,\) features and not 2048"):
        Inception(tmp_path / "small.pt")
