#!/usr/bin/env bash
# c2pa-python 0.38.1: a picture whose face was blurred, signed with the original as its parent, holds the original's face.
#
# Content Credentials name what a picture was made from as an ingredient; an editor that blurs bystanders, or makes a corpus
# anonymous, adds the original as "parentOf". Builder.add_ingredient draws a thumbnail of it, unasked, and sign() puts
# that into the file: a JPEG of 1024 px on the longer side, so of a face crop all there is. Of an original of 512 px, what
# lies in the signed picture (enlarged to 1024) correlates with the original by 0.99; what is seen, the blur, by 0.01.
# Viewers show the blur, the state is "Valid", and any reader of credentials hands the thumbnail out. Only the size tells,
# 17 times that of the blur. The setting {"builder": {"thumbnail": {"enabled": false}}} leaves the ingredient's hash alone.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet c2pa-python==0.38.1 cryptography==50.0.2 pillow==13.0.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import datetime
import io
import json
import sys

import c2pa
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image, ImageFilter


def make_signer():
    """Whoever signs: a root, and a certificate under it."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)]) for name in ("a root", "an editor")]
    now, day, made = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1), []
    for leaf, (key, name) in enumerate(zip(keys, names)):
        usage = [bool(leaf), False, False, False, False, not leaf, not leaf, False, False]
        builder = x509.CertificateBuilder(names[0], name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        builder = builder.add_extension(x509.BasicConstraints(not leaf, None), True)
        builder = builder.add_extension(x509.KeyUsage(*usage), True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key())
        builder = builder.add_extension(issuer, False)
        if leaf:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    kind, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = keys[1].private_bytes(serialization.Encoding.PEM, kind, none)
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", made[1] + made[0], key, None))


def jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


def likeness(image, other):
    a, b = (np.asarray(i.convert("L").resize((512, 512)), float).ravel() for i in (image, other))
    return float(np.corrcoef(a, b)[0, 1])


down, right = np.mgrid[:512, :512]  # a pattern in place of a face
original = Image.fromarray(np.where(np.sin(right / 9) * np.sin(down / 7) > 0, 230, 20).astype(np.uint8)).convert("RGB")
blurred = jpeg(original.filter(ImageFilter.GaussianBlur(25)))
actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ["from"]}}, {"action": "c2pa.filtered"}]
manifest = {
    "claim_generator_info": [{"name": "editor", "version": "1"}],
    "assertions": [{"label": "c2pa.actions", "data": {"actions": actions}}],
}
ingredient = {"title": "original", "relationship": "parentOf", "instance_id": "from"}
print("c2pa-python", c2pa.__version__)
found = {}
for thumbnails in (None, False):
    settings = {} if thumbnails is None else {"builder": {"thumbnail": {"enabled": False}}}
    context = c2pa.Context(settings=c2pa.Settings.from_dict(settings))
    builder, signed = c2pa.Builder(json.dumps(manifest), context=context), io.BytesIO()
    builder.add_ingredient(json.dumps(ingredient), "image/jpeg", io.BytesIO(jpeg(original)))
    builder.sign(make_signer(), "image/jpeg", io.BytesIO(blurred), signed)
    reader = c2pa.Reader("image/jpeg", io.BytesIO(signed.getvalue()))
    told = json.loads(reader.json())
    parent = told["manifests"][told["active_manifest"]]["ingredients"][0]
    visible = likeness(Image.open(io.BytesIO(signed.getvalue())), original)
    times = len(signed.getvalue()) / len(blurred)
    print("as it comes:" if thumbnails is None else "no thumbnails:", reader.get_validation_state(), end="; ")
    print(f"{times:.0f} times as large, what is seen is like the original by {visible:.2f}", end="; ")
    hidden = None
    if "thumbnail" in parent:
        file = io.BytesIO()
        reader.resource_to_stream(parent["thumbnail"]["identifier"], file)
        kept = Image.open(io.BytesIO(file.getvalue()))
        hidden = likeness(kept, original)
        print(f"what is in it, {kept.size[0]} x {kept.size[1]}, by {hidden:.2f}")
    else:
        print("nothing else in it")
    found[thumbnails] = (visible < 0.1, hidden)
if not (found[None][0] and (found[None][1] or 0) > 0.95 and found[False] == (True, None)):
    sys.exit("changed")
PYTHON
