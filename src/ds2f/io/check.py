"""Where a picture says it comes from: the watermark of ds2f, and Content Credentials (C2PA) and XMP of any tool.

What is found is reported; finding nothing proves nothing. No answer here says that a picture is real.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

from ds2f.errors import ItemError
from ds2f.io import credentials
from ds2f.io.credentials import Credentials
from ds2f.io.images import COMPOSITE, FORMATS, decode_image
from ds2f.io.watermark_search import SURE, Trace, find

NOTHING = "no mark found; this says nothing about where it comes from"
GENERATED = (credentials.GENERATED, COMPOSITE, "algorithmicMedia")
"""IPTC's digital source types for pictures that were generated, entirely or in part."""
_EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


@dataclass(frozen=True)
class Metadata:
    """The contents of XMP, which anybody can write and remove.

    source: IPTC's digital source type, such as "trainedAlgorithmicMedia"; empty if none is stated.
    system: the AI system or tool that is named; empty if none is.
    details: for a picture by ds2f, how it was made: seed, model, settings.
    """

    source: str
    system: str
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Checked:
    """What a picture says about its origin.

    watermark: of ds2f: how strong it is, and how likely that is by chance.
    credentials: C2PA; None if there are none, or if they could not be looked for.
    credentials_looked_for: False without the extra `c2pa`.
    metadata: XMP; None if it states nothing of this kind.
    """

    watermark: Trace
    credentials: Credentials | None
    credentials_looked_for: bool
    metadata: Metadata | None

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of "watermark", "c2pa", "xmp" that identify the picture as one by ds2f, or claim it."""
        signed = self.credentials is not None and self.credentials.intact and _ours(self.credentials.tool)
        stated = self.metadata is not None and _ours(self.metadata.system)
        known = {"watermark": self.watermark.found, "c2pa": signed, "xmp": stated}
        return tuple(name for name, there in known.items() if there)

    @property
    def made_by_ds2f(self) -> bool:
        """Whether any layer says so; how certain that is depends on the layer."""
        return bool(self.layers)

    @property
    def generated(self) -> bool:
        """Whether any layer says that the picture, or a part of it, was generated, by any tool."""
        return self.made_by_ds2f or not self._sources.isdisjoint(GENERATED)

    @property
    def _sources(self) -> set[str]:
        signed = () if self.credentials is None else self.credentials.sources
        return {*signed, *(() if self.metadata is None else (self.metadata.source,))}

    @property
    def verdict(self) -> str:
        """One sentence, without a full stop."""
        if self.watermark.found and COMPOSITE in self._sources:
            return "holds faces drawn by ds2f, as their watermark shows"
        if self.watermark.found:
            return "drawn by ds2f, as its watermark shows"
        if self.made_by_ds2f:
            return "says that it was drawn by ds2f"
        if self.generated:
            return "says that it was generated, not by ds2f"
        return NOTHING

    def sentences(self) -> tuple[str, ...]:
        """What each layer says, one sentence each; layers that say nothing are left out."""
        said = []
        if self.watermark.found:
            said.append(
                f"watermark: found; fewer than one unmarked picture in {_one_in(self.watermark.chance)} looks like it"
            )
        if self.credentials is not None:
            said.append(f"C2PA: {_told(self.credentials)}")
        elif not self.credentials_looked_for:
            said.append("C2PA: not looked for; run: pip install 'ds2f[c2pa]'")
        if self.metadata is not None:
            source = f"says {self.metadata.source}" if self.metadata.source else "no digital source type"
            by = f", by {self.metadata.system}" if self.metadata.system else ""
            said.append(f"XMP: {source}{by}; not signed, anybody can write or remove it")
        return tuple(said)

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        trace = {**asdict(self.watermark), "found": self.watermark.found}
        return {
            "made_by_ds2f": self.made_by_ds2f,
            "generated": self.generated,
            "layers": list(self.layers),
            "verdict": self.verdict,
            "watermark": trace,
            "c2pa": None if self.credentials is None else asdict(self.credentials),
            "c2pa_looked_for": self.credentials_looked_for,
            "xmp": None if self.metadata is None else asdict(self.metadata),
        }


def check(data: bytes) -> Checked:
    """What an encoded picture says about its origin. Nothing is downloaded or stored.

    data: the bytes of a file, in any format that `io.images.decode_image` reads.
    Raises ItemError(stage="open") for anything that is not a picture, is damaged or too large.
    """
    trace = find(decode_image(data))
    looked = credentials.available()
    return Checked(trace, credentials.read(data) if looked else None, looked, read_metadata(data))


def check_file(path: Path) -> Checked:
    """As `check`, for a file. Also raises ItemError(stage="open") if it cannot be read."""
    try:
        return check(path.read_bytes())
    except OSError as error:
        raise ItemError("open", f"the file cannot be read ({error.strerror or error})") from None


def read_metadata(data: bytes) -> Metadata | None:
    """What the XMP of an encoded picture states about its source; None if nothing."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
            own = image.info.get("ds2f")
    except Exception:  # noqa: BLE001 - readers of many formats raise many kinds of errors
        return None
    stated = _properties(packet if isinstance(packet, bytes) else str(packet).encode())
    source = stated.get(f"{_EXT}DigitalSourceType", "") or stated.get(f"{_EXT}DigitalSourceFileType", "")
    used = " ".join(filter(None, (stated.get(f"{_EXT}AISystemUsed"), stated.get(f"{_EXT}AISystemVersionUsed"))))
    details = _details(own or (stated.get(f"{_EXT}AIPromptInformation") if _ours(used) else None))
    if not source and not used and details is None:
        return None
    tool = used or stated.get(f"{_XMP}CreatorTool", "") or ("ds2f" if details else "")
    return Metadata(source.rpartition("/")[2], tool, details)


def _properties(packet: bytes) -> dict[str, str]:
    """{property in Clark notation: text} of an XMP packet, from attributes and elements. Empty for anything that is not
    XML, or that contains declarations, by which a few bytes can expand to gigabytes."""
    text = packet.strip(b"\x00 \r\n\t")
    if b"<!" in text:
        return {}
    try:
        tree = ElementTree.fromstring(text.decode("utf-8", "replace").lstrip("\ufeff"))
    except (ElementTree.ParseError, ValueError):
        return {}
    found: dict[str, str] = {}
    for about in tree.iter(f"{_RDF}Description"):
        found |= about.attrib
        for child in about:
            value = child.get(f"{_RDF}resource") or "".join(child.itertext()).strip()
            found.setdefault(child.tag, value)
    return found


def _details(told: str | None) -> Mapping[str, Any] | None:
    try:
        details = json.loads(told) if told else None
    except (ValueError, RecursionError):
        return None
    return details if isinstance(details, dict) else None


def _ours(tool: str) -> bool:
    return tool.split(" ")[0] == "ds2f"


def _one_in(chance: float) -> str:
    """1 / chance to two significant figures, rounded down, as 1,200,000."""
    text = f"{1 / max(chance, SURE):.15g}"
    whole = text.partition(".")[0]
    return f"{int(whole[:2] + '0' * (len(whole) - 2)):,}"


def _told(found: Credentials) -> str:
    state = {
        "trusted": "signed and unchanged since, by somebody whom others vouch for",
        "valid": "signed and unchanged since; nobody vouches for the signer",
        "invalid": f"does not hold ({', '.join(found.problems) or 'signature wrong'})",
    }[found.state]
    signer = f", signed by {found.signer}" if found.signer else ""
    sources = f"says {', '.join(found.sources)}" if found.sources else "names no digital source type"
    return f"{sources}{f', by {found.tool}' if found.tool else ''}{signer}; {state}"
