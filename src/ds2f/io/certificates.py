"""Certificates for signing pictures: creates one for the installation, and finds a key's signature algorithm."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

SELF_MADE = "ds2f, self-made"
"""The organisation in an installation's certificate."""
YEARS = 10  # period of validity


def make_certificate(organisation: str = SELF_MADE) -> bytes:
    """PEM of a certificate that C2PA accepts and of its issuer, and PEM of its key, ECDSA on P-256.

    C2PA requires an end-entity certificate issued by a root (self-signed ones are refused), with digitalSignature and
    emailProtection. The root's key is discarded: it issues this certificate and never another. The certificate contains
    no name, machine or place, only the organisation and a number that links the pictures of one installation.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    number = f"{x509.random_serial_number():x}"[:8]
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "installation")}
    names = {
        name: x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation.partition(',')[0]} {name} {number}"),
            ]
        )
        for name in keys
    }
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    made = []
    for name in ("installation", "root"):
        root = name == "root"
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        ) | {"encipher_only": False, "decipher_only": False}
        usage |= {"digital_signature": not root, "key_cert_sign": root, "crl_sign": root}
        certificate = (
            x509.CertificateBuilder()
            .subject_name(names[name])
            .issuer_name(names["root"])
            .public_key(keys[name].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now.replace(year=now.year + YEARS, day=min(now.day, 28)))
            .add_extension(x509.BasicConstraints(ca=root, path_length=0 if root else None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[name].public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["root"].public_key()), critical=False
            )
        )
        if not root:
            usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            certificate = certificate.add_extension(usages, critical=True)
        made.append(certificate.sign(keys["root"], hashes.SHA256()).public_bytes(Encoding.PEM))
    made.append(keys["installation"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return b"".join(made)


def algorithm_of(key: bytes) -> bytes:
    """C2PA's name for a key's signature algorithm. Raises ValueError for a key that no algorithm accepts."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded: PrivateKeyTypes = load_pem_private_key(key, None)
    if isinstance(loaded, ec.EllipticCurvePrivateKey):
        found = {"secp256r1": b"es256", "secp384r1": b"es384", "secp521r1": b"es512"}.get(loaded.curve.name)
        if found:
            return found
    if isinstance(loaded, rsa.RSAPrivateKey):
        return b"ps256"
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    raise ValueError("its key is neither ECDSA on a NIST curve, RSA nor Ed25519")
