"""Content Credentials (C2PA, specification 2.4): a signed statement in a picture about how it was made, written by the
official library c2pa-python, the extra `c2pa`; also reads those of other tools.

Without a certificate of their own, users sign with the installation's, which is created once. Validators report such a
signature as valid and its signer as unknown ("signingCredential.untrusted"): nothing has been changed since, but nobody
vouches for the signer.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from ds2f import __version__
from ds2f.errors import UserError
from ds2f.io.certificates import SELF_MADE, algorithm_of, make_certificate
from ds2f.io.extras import first_line, installed, optional
from ds2f.io.files import config_folder, create_privately

GENERATED = "trainedAlgorithmicMedia"
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC's digital source types, of which GENERATED is one."""
MIME = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""The formats, as PIL names them, that are signed."""
SETTINGS = {
    # Nothing is downloaded: neither manifests stored elsewhere nor revocation lists.
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
    # It would be a second picture, and for a guide somebody's face (findings/c2pa_keeps_the_blurred_face.sh).
    "builder": {"thumbnail": {"enabled": False}},
}
UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True)
class Signing:
    """Whether pictures are signed, and by whom.

    on: False switches signing off.
    certificate: a PEM file with the certificate and any intermediates up to the root. None: the installation's own.
    key: a PEM file with its private key, without a password.
    """

    on: bool = True
    certificate: Path | None = None
    key: Path | None = None


class Signer:
    """Signs pictures. Threads take turns. One of `signer_of` can be pickled, as part of a face: not the key is stored,
    but where it lies."""

    signing: Signing | None = None

    def __init__(self, certificates: bytes, key: bytes, whose: str = "The certificate") -> None:
        """certificates: PEM, the signing one first; key: PEM; whose: what to call them in errors.

        Raises UserError for a certificate that may not sign, or a key that does not match it.
        """
        self._c2pa = optional("c2pa", "c2pa", "Signing pictures")
        self._turn = threading.Lock()
        error = self._c2pa.C2paError
        try:
            algorithm = algorithm_of(key)
            info = self._c2pa.C2paSignerInfo(algorithm, certificates, key, None)
            self._signer = self._c2pa.Signer.from_info(info)
            self._context = _context()
            trial = io.BytesIO()
            Image.new("RGB", (1, 1)).save(trial, "PNG")
            found = read(self.sign(trial.getvalue(), "PNG", {}))
        except (error, ValueError, TypeError) as refused:
            raise UserError(f"{whose} cannot sign pictures ({first_line(refused)}); {NEEDED}.") from None
        if found is None or not found.intact:
            codes = "nothing was signed" if found is None else ", ".join(found.problems)
            raise UserError(f"{whose} cannot sign pictures ({codes}); {NEEDED}.")

    def __reduce__(self) -> tuple[Any, ...]:
        if self.signing is None:
            raise TypeError("A signer holds a private key, and is not pickled.")
        return signer_of, (self.signing,)

    def sign(self, data: bytes, kind: str, details: Mapping[str, Any], source: str = GENERATED) -> bytes:
        """An encoded picture with Content Credentials; its pixels and other metadata are unchanged.

        data: the bytes of a file.
        kind: its format as PIL names it, from MIME.
        details: seed, model, settings, ... as for `io.images.marking`.
        source: a term from IPTC's digital source types.
        """
        signed = io.BytesIO()
        with self._turn, self._c2pa.Builder(_manifest(details, source), context=self._context) as builder:
            builder.sign(self._signer, MIME[kind], io.BytesIO(data), signed)
        return signed.getvalue()


NEEDED = (
    "it needs an end certificate with key usage digitalSignature and extended key usage emailProtection or "
    "documentSigning, then those between it and the root, and the key of the first without a password"
)


def signer_of(signing: Signing) -> Signer | None:
    """The signer; None if signing is switched off, or if the extra `c2pa` is not installed and no certificate was
    given.

    Raises UserError for a certificate or key that cannot be read or used.
    """
    if not signing.on or (signing.certificate is None and not available()):
        return None
    if signing.certificate is None or signing.key is None:
        if signing.certificate != signing.key:
            raise UserError("A certificate needs its key: give both [generate] certificate and certificate_key.")
        signer = _own_signer()
    else:
        signer = Signer(_read(signing.certificate), _read(signing.key), f"The certificate {signing.certificate}")
    signer.signing = signing
    return signer


def available() -> bool:
    """Whether the extra is installed."""
    return installed("c2pa") and installed("cryptography")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror})"
        raise UserError(f"{reason}; check [generate] certificate and certificate_key.") from None


def _manifest(details: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The statement: created by a trained model, with which settings, and from a guide picture if there was one. The
    guide is included only as the hash in `details`; nothing is included about the voice."""
    tool = {"name": "ds2f", "version": __version__}
    created = {"action": "c2pa.created", "digitalSourceType": SOURCES + source, "softwareAgent": tool}
    guides = []
    if "guide" in details:
        guides.append(
            {"title": "guide picture", "relationship": "inputTo", "instance_id": f"sha256:{details['guide']}"}
        )
    return {
        "claim_generator_info": [tool],
        "title": "Generated face" if source == GENERATED else "Generated faces",
        "ingredients": guides,
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [created]}, "created": True},
            {"label": "org.ds2f.generation", "data": {"system": "ds2f", **details}, "created": True},
        ],
    }


@lru_cache(1)
def _context() -> Any:
    c2pa = optional("c2pa", "c2pa", "Content Credentials")
    return c2pa.Context(settings=c2pa.Settings.from_dict(SETTINGS))


@lru_cache(1)
def _own_signer() -> Signer:
    """The signer for the certificate in the user's configuration folder, created if missing. If the folder is not
    writable, as in a container, this process uses a certificate of its own."""
    path = config_folder() / "signing.pem"
    whose = f"The certificate of this installation, {path},"
    try:
        stored = path.read_bytes()
    except OSError:
        try:
            stored = create_privately(path, make_certificate())
        except OSError:
            stored = make_certificate()
    certificates, mark, key = stored.partition(b"-----BEGIN PRIVATE KEY-----")
    try:
        return Signer(certificates, mark + key, whose)
    except UserError as error:
        raise UserError(f"{str(error).partition(';')[0]}; remove the file, and ds2f makes another.") from None


@dataclass(frozen=True)
class Credentials:
    """What the Content Credentials of a picture say, and whether they hold.

    state: "trusted" (intact, and the signer is vouched for by somebody whom the library trusts), "valid" (intact, but
    nobody vouches for the signer), or "invalid" (the picture or the statement was changed, or the signature is wrong).
    tool: what made the statement, such as "ds2f 0.1.0".
    signer: the name in the certificate; empty if there is none.
    self_made: whether it is the certificate of a ds2f installation.
    sources: IPTC's digital source types of the actions, such as "trainedAlgorithmicMedia".
    problems: C2PA's codes for what does not hold, except for missing trust.
    """

    state: str
    tool: str
    signer: str
    self_made: bool
    sources: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing has been changed since it was signed."""
        return self.state != "invalid"


def read(data: bytes) -> Credentials | None:
    """The Content Credentials of an encoded picture; None if it has none, or if they are stored elsewhere.

    Nothing is downloaded. Raises UserError if the extra `c2pa` is not installed.
    """
    c2pa = optional("c2pa", "c2pa", "Reading Content Credentials")
    kind = _kind(data)
    if kind is None:
        return None
    try:
        with c2pa.Reader(kind, io.BytesIO(data), context=_context()) as reader:
            told, state = json.loads(reader.json()), str(reader.get_validation_state())
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        return Credentials("invalid", "", "", False, (), (first_line(error),))
    active = told.get("manifests", {}).get(told.get("active_manifest"), {})
    statuses = [status["code"] for status in told.get("validation_status", [])]
    signature, tools = active.get("signature_info", {}), active.get("claim_generator_info", [])
    return Credentials(
        "invalid" if state == "Invalid" else "trusted" if state == "Trusted" else "valid",
        " ".join(tools[0].get(part, "") for part in ("name", "version")).strip() if tools else "",
        ", ".join(dict.fromkeys(filter(None, (signature.get("common_name"), signature.get("issuer"))))),
        signature.get("issuer") == SELF_MADE,
        tuple(dict.fromkeys(_sources(active))),
        tuple(dict.fromkeys(code for code in statuses if code != UNTRUSTED)),
    )


def _kind(data: bytes) -> str | None:
    """The MIME type under which the library reads a picture; None if it does not support the format."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            kind = image.get_format_mimetype()
    except Exception:  # noqa: BLE001 - readers of many formats raise many kinds of errors
        return None
    known = optional("c2pa", "c2pa", "Reading Content Credentials").Reader.get_supported_mime_types()
    return kind if kind in known else None


def _sources(manifest: Mapping[str, Any]) -> list[str]:
    found = []
    for assertion in manifest.get("assertions", []):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            actions = assertion.get("data", {}).get("actions", [])
            found += [action.get("digitalSourceType", "").rpartition("/")[2] for action in actions]
    return [source for source in found if source]
