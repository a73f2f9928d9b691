"""Content Credentials: who signs a picture, the installation or somebody else; the official library reads it."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f import GeneratedFace
from ds2f.errors import UserError
from ds2f.io import credentials
from ds2f.io.certificates import make_certificate
from ds2f.io.credentials import Signer, Signing, read, signer_of
from ds2f.io.files import config_folder, create_privately

c2pa = pytest.importorskip("c2pa", reason="the extra c2pa is not installed")

DETAILS = {"seed": 7, "model": "abc123", "steps": 10, "guide": "0123456789ab", "made_from": "feed"}


@pytest.fixture(scope="module")
def signer() -> Signer:
    found = signer_of(Signing())
    assert found is not None
    return found


def _picture(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((32, 32), 80).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def _told(data: bytes, mime: str) -> dict:
    """By the library's own reader, with the settings that it has by itself."""
    with c2pa.Reader(mime, io.BytesIO(data)) as reader:
        return json.loads(reader.json())


@pytest.mark.parametrize("kind", credentials.MIME)
def test_a_picture_is_signed_and_the_library_finds_it_valid(kind: str, signer: Signer) -> None:
    plain = _picture(kind)
    signed = signer.sign(plain, kind, DETAILS)
    told = _told(signed, credentials.MIME[kind])
    assert told["validation_state"] == "Valid"
    assert [status["code"] for status in told["validation_status"]] == ["signingCredential.untrusted"]
    manifest = told["manifests"][told["active_manifest"]]
    stated = {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}
    (created,) = stated["c2pa.actions.v2"]["actions"]
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/digitalsourcetype/trainedAlgorithmicMedia")
    assert stated["org.ds2f.generation"] == {"system": "ds2f", **DETAILS}
    (guide,) = manifest["ingredients"]
    assert (guide["relationship"], guide["title"]) == ("inputTo", "guide picture")
    assert "thumbnail" not in manifest
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(signed))), np.asarray(Image.open(io.BytesIO(plain))))


def test_reading_says_what_was_signed_and_that_it_was_changed(signer: Signer) -> None:
    signed = signer.sign(_picture("JPEG"), "JPEG", DETAILS)
    found = read(signed)
    assert found is not None
    assert (found.state, found.intact, found.self_made, found.problems) == ("valid", True, True, ())
    assert found.tool.startswith("ds2f ")
    assert found.sources == ("trainedAlgorithmicMedia",)
    changed = bytearray(signed)
    changed[-20] ^= 1
    found = read(bytes(changed))
    assert found is not None
    assert found.state == "invalid"
    assert found.problems == ("assertion.dataHash.mismatch",)
    assert read(_picture()) is None
    assert read(b"no picture") is None


def test_the_key_is_the_owners_and_stays(signer: Signer) -> None:
    path = config_folder() / "signing.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or os.name == "nt"
    kept = path.read_bytes()
    credentials._own_signer.cache_clear()
    assert signer_of(Signing()) is not None
    assert path.read_bytes() == kept
    assert [file.name for file in path.parent.iterdir()] == ["signing.pem"]


def test_processes_that_start_together_get_one_certificate(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = pool.starmap(create_privately, [(tmp_path / "new" / "a.pem", bytes([n]) * 99) for n in range(12)])
    assert len(set(found)) == 1
    assert (tmp_path / "new" / "a.pem").read_bytes() == found[0]
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_where_nothing_can_be_written_a_process_has_a_certificate_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(credentials, "config_folder", lambda: tmp_path / "file" / "ds2f")
    credentials._own_signer.cache_clear()
    own = signer_of(Signing())
    credentials._own_signer.cache_clear()
    assert own is not None
    assert read(own.sign(_picture(), "PNG", {})).state == "valid"


def test_a_damaged_certificate_of_the_installation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "signing.pem").write_bytes(b"nothing")
    monkeypatch.setattr(credentials, "config_folder", lambda: tmp_path)
    credentials._own_signer.cache_clear()
    with pytest.raises(UserError, match=r"signing\.pem, cannot sign pictures .*; remove the file, and ds2f makes"):
        signer_of(Signing())


def test_ones_own_certificate_signs_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    chain, mark, key = make_certificate().partition(b"-----BEGIN PRIVATE KEY-----")
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "key.pem").write_bytes(mark + key)
    own = signer_of(Signing(certificate=tmp_path / "chain.pem", key=tmp_path / "key.pem"))
    assert own is not None
    assert read(own.sign(_picture(), "PNG", {})).state == "valid"
    root = b"-----BEGIN" + chain.split(b"-----BEGIN")[2]
    (tmp_path / "root.pem").write_bytes(root)
    for certificate, key_file in (("root.pem", "key.pem"), ("chain.pem", "chain.pem"), ("key.pem", "key.pem")):
        with pytest.raises(UserError, match=r"cannot sign pictures .* end certificate"):
            signer_of(Signing(certificate=tmp_path / certificate, key=tmp_path / key_file))
    _, _, other = make_certificate().partition(b"-----BEGIN PRIVATE KEY-----")
    (tmp_path / "other.pem").write_bytes(mark + other)
    with pytest.raises(UserError, match="cannot sign pictures"):
        signer_of(Signing(certificate=tmp_path / "chain.pem", key=tmp_path / "other.pem"))
    with pytest.raises(UserError, match="cannot be read"):
        signer_of(Signing(certificate=tmp_path / "none.pem", key=tmp_path / "key.pem"))


def test_without_the_extra_nobody_signs_but_a_certificate_that_was_given_is_not_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert signer_of(Signing(on=False)) is None
    monkeypatch.setattr(credentials, "installed", lambda module: False)
    assert signer_of(Signing()) is None


def test_a_face_signs_itself_and_says_nothing_more_of_the_voice(tmp_path: Path, signer: Signer) -> None:
    face = GeneratedFace(Image.new("RGB", (64, 64), "red"), np.arange(128.0), 7, {"model": "abc"}, signer)
    face.save(tmp_path / "face.png")
    data = (tmp_path / "face.png").read_bytes()
    told = _told(data, "image/png")
    (manifest,) = told["manifests"].values()
    stated = {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}
    assert stated["org.ds2f.generation"] == {"system": "ds2f", "seed": 7, "model": "abc"}
    assert "ingredients" not in manifest or manifest["ingredients"] == []
    with Image.open(tmp_path / "face.png") as picture:
        assert json.loads(picture.info["ds2f"]) == {"seed": 7, "model": "abc"}, "the other marking is there, too"
    assert len(face.png()) > len(GeneratedFace(face.image, face.identity, 7, face.details).png())
