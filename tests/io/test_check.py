"""Where pictures say that they come from; no answer says that one is real."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f import GeneratedFace
from ds2f.demo import samples
from ds2f.errors import ItemError
from ds2f.io import credentials, watermark
from ds2f.io.certificates import make_certificate
from ds2f.io.check import NOTHING, check, check_file, read_metadata
from ds2f.io.credentials import Signing, signer_of
from ds2f.io.media import decode

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>"""
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.fixture(scope="module")
def face() -> Image.Image:
    frame = decode(samples() / "person-1.mp4", frames=1, sound=False).frames[0].image
    return Image.fromarray(frame).resize((128, 128))


def _encoded(picture: Image.Image, kind: str = "JPEG", **more: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **more)
    return buffer.getvalue()


def test_a_face_of_ours_says_so_by_every_layer_that_is_left(face: Image.Image) -> None:
    signer = signer_of(Signing())
    marked = Image.fromarray(watermark.mark(np.asarray(face)))
    whole = check(GeneratedFace(marked, np.zeros(128), 1, {"model": "abc"}, signer).png())
    assert whole.layers == (("watermark", "c2pa", "xmp") if signer else ("watermark", "xmp"))
    assert whole.verdict == "drawn by ds2f, as its watermark shows"
    assert whole.metadata is not None
    assert whole.metadata.details == {"seed": 1, "model": "abc"}
    assert any("fewer than one unmarked picture in 1,000,000,000" in said for said in whole.sentences())
    stripped = check(_encoded(marked, "JPEG", quality=75))
    assert stripped.layers == ("watermark",)
    unmarked = check(GeneratedFace(face, np.zeros(128), 1, {"model": "abc"}).png())
    assert (unmarked.layers, unmarked.verdict) == (("xmp",), "says that it was drawn by ds2f")


def test_of_nothing_found_it_says_that_this_says_nothing(face: Image.Image) -> None:
    found = check(_encoded(face))
    assert found.verdict == NOTHING
    assert not found.made_by_ds2f
    assert not found.generated
    assert not [said for said in found.sentences() if "real" in said]


@pytest.mark.parametrize(
    ("attributes", "elements", "generated"),
    [
        (f'Iptc4xmpExt:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia" xmp:CreatorTool="Other 3"', "", True),
        ("", f"<Iptc4xmpExt:DigitalSourceType>{SOURCE}trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>", True),
        ("", f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{SOURCE}trainedAlgorithmicMedia"/>', True),
        (f'Iptc4xmpExt:DigitalSourceType="{SOURCE}digitalCapture"', "", False),
    ],
)
def test_what_others_write_into_xmp(attributes: str, elements: str, generated: bool, face: Image.Image) -> None:
    packet = XMP.format(attributes=attributes, elements=elements).encode()
    for kind in ("JPEG", "WEBP", "PNG"):
        found = check(_encoded(face.resize((32, 32)), kind, xmp=packet)) if kind != "PNG" else check(_png(face, packet))
        assert found.generated == generated, kind
        assert not found.made_by_ds2f
        assert found.metadata is not None
        assert found.metadata.source == ("trainedAlgorithmicMedia" if generated else "digitalCapture")
        assert found.verdict == ("says that it was generated, not by ds2f" if generated else NOTHING)


def _png(picture: Image.Image, packet: bytes) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    return _encoded(picture.resize((32, 32)), "PNG", pnginfo=info)


def test_what_is_no_xmp_harms_nobody(face: Image.Image) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 99 + b'">]><a>&b;</a>'
    for packet in (b"<x", b"\xff\xfe\x00", bomb, b""):
        assert read_metadata(_encoded(face.resize((8, 8)), "WEBP", xmp=packet)) is None


def test_the_answer_without_the_extra_says_that_it_did_not_look(
    face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "installed", lambda module: False)
    found = check(_encoded(face.resize((32, 32))))
    assert found.as_json()["c2pa_looked_for"] is False
    assert found.sentences() == ("C2PA: not looked for; run: pip install 'ds2f[c2pa]'",)


def test_what_cannot_be_read_is_refused(tmp_path: Path, face: Image.Image) -> None:
    whole = _encoded(face, "PNG")
    (tmp_path / "letter.png").write_text("Dear Sir or Madam, größer")
    (tmp_path / "noise.png").write_bytes(bytes(range(1, 256)))
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "film.jpg").write_bytes((samples() / "person-1.mp4").read_bytes())
    for path, reason in (
        ("letter.png", "^text and not a picture$"),
        ("noise.png", "^not a picture, or damaged$"),
        ("half.png", "^the picture is cut short$"),
        ("empty.jpg", "empty"),
        ("film.jpg", "^a video and not a still picture$"),
        ("none.png", "cannot be read"),
        (".", "cannot be read"),
    ):
        with pytest.raises(ItemError, match=reason):
            check_file(tmp_path / path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_every_format_carries_all_layers(suffix: str, face: Image.Image, tmp_path: Path) -> None:
    signer = signer_of(Signing())
    for size in (64, 128, 256):
        marked = Image.fromarray(watermark.mark(np.asarray(face.resize((size, size)))))
        GeneratedFace(marked, np.zeros(128), 1, {"model": "abc"}, signer).save(tmp_path / f"face{suffix}")
        found = check_file(tmp_path / f"face{suffix}")
        assert found.layers == (("watermark", "c2pa", "xmp") if signer else ("watermark", "xmp")), (suffix, size)
        assert found.metadata is not None
        assert found.metadata.details == {"seed": 1, "model": "abc"}


def _signed_by_another(data: bytes, source: str) -> bytes:
    """As a camera or a generator of somebody else would, with a certificate of its own."""
    c2pa = pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    chain, mark, key = make_certificate("Example Optics").partition(b"-----BEGIN PRIVATE KEY-----")
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE + source}
    manifest = {
        "claim_generator_info": [{"name": "Example Camera", "version": "3"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, mark + key, None))
    signed = io.BytesIO()
    with c2pa.Builder(manifest) as builder:
        builder.sign(signer, "image/jpeg", io.BytesIO(data), signed)
    return signed.getvalue()


@pytest.mark.parametrize(("source", "generated"), [("digitalCapture", False), ("trainedAlgorithmicMedia", True)])
def test_what_others_signed_is_said_and_is_not_ours(source: str, generated: bool, face: Image.Image) -> None:
    signed = _signed_by_another(_encoded(face), source)
    found = check(signed)
    assert (found.layers, found.generated) == ((), generated)
    assert found.verdict == ("says that it was generated, not by ds2f" if generated else NOTHING)
    (said,) = found.sentences()
    assert said.startswith(f"C2PA: says {source}, by Example Camera 3, signed by ")
    assert "Example Optics" in said
    assert said.endswith("signed and unchanged since; nobody vouches for the signer")
    assert found.credentials is not None
    assert not found.credentials.self_made
    changed = bytearray(signed)
    changed[-20] ^= 1
    (said,) = check(bytes(changed)).sentences()
    assert "does not hold (assertion.dataHash.mismatch)" in said
    assert "real" not in said
