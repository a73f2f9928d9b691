"""`ds2f doctor`: what is installed, what it runs on, whether it works, and the command that installs what is
missing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata

from ds2f import __version__
from ds2f.errors import ItemError, UserError
from ds2f.io.extras import first_line

REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(\[(?P<of>[^]]*)\])?\s*(?P<range>[^;]*)(;.*?extra == ['\"](?P<extra>[^'\"]+)['\"])?"
)
OURS = {"dev", "docs"}  # extras for developers of ds2f
FOR = {
    "all": "every command, with the encoders that are the default",
    "acoustics": "pitch, formants, speaking rate",
    "c2pa": "signed pictures: Content Credentials",
    "deepface": "face models of deepface",
    "demo": "ds2f demo with dataset and report",
    "download": "ds2f download",
    "evaluate": "ds2f evaluate, verify, verify-faces, compare",
    "export": "ds2f export --format parquet, onnx",
    "faces": "faces in pictures: guides, ds2f extract, ds2f match",
    "hub": "models on the Hugging Face Hub",
    "judges": "recognisers in files, to train a decoder with: [train] likeness_judges",
    "ncnn": "face models in files: ncnn:FILE.param",
    "onnx": "face models in files: onnx:FILE",
    "pyannote": "speaker encoder",
    "ray": "extraction on a cluster",
    "resemblyzer": "speaker encoder of older models; needs a C compiler",
    "serve": "the page: ds2f serve",
    "speechbrain": "speaker encoder ECAPA-TDNN, spoken language",
    "tensorboard": "training curves",
    "tflite": "face models in files: tflite:FILE",
    "titanet": "speaker encoder TitaNet",
    "train": "ds2f train",
    "uniface": "ArcFace, AdaFace, RetinaFace, FairFace",
    "upscale": "larger pictures: --upscale",
    "wespeaker": "speaker encoders in ONNX",
    "whisper": "spoken language",
}
NAMED = 4  # missing packages shown per extra; pip lists them all
MARKS = {"ok": "[green]ok[/]      ", "missing": "[yellow]missing[/] ", "broken": "[bold red]broken[/]  "}


@dataclass(frozen=True)
class Finding:
    """One line of output. state: "ok", "missing" (an optional part), or "broken"; mend: the command that fixes it,
    or empty."""

    part: str
    state: str
    text: str
    mend: str = ""


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--json", action="store_true", help="as JSON: a list of part, state, text, mend")


def run(options: argparse.Namespace) -> int:
    """Returns 1 if something is broken."""
    from ds2f.cli.console import out

    broken = False
    if options.json:
        all_found = list(examine())
        out.print(json.dumps([asdict(found) for found in all_found], indent=2, ensure_ascii=False))
        return 1 if any(found.state == "broken" for found in all_found) else 0
    for found in examine():
        broken |= found.state == "broken"
        out.print(f"{MARKS[found.state]} {found.part:<12}", end="", markup=True)
        out.print(found.text)
        if found.mend:
            out.print(f"{'':<21}{found.mend}")
    return 1 if broken else 0


def examine() -> Iterator[Finding]:
    """All findings, one at a time; the last one takes a few seconds."""
    yield Finding("ds2f", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform(terse=True)}")
    needs = _requirements()
    yield from _packages(needs.pop("", []))
    yield from _devices()
    yield from _extras(needs)
    yield _trial()


def _requirements() -> dict[str, list[str]]:
    """{extra: packages}; those of the core under ""."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in metadata.requires("ds2f") or []:
        if parts := REQUIREMENT.match(line):
            found.setdefault(parts["extra"] or "", []).append((parts["name"], parts["of"] or ""))

    def packages(extra: str) -> list[str]:
        names: dict[str, None] = {}
        for name, of in found.get(extra, []):  # an extra may consist of others: ds2f[faces,serve]
            parts = [name] if name != "ds2f" else [inner for part in of.split(",") for inner in packages(part)]
            names |= dict.fromkeys(parts)
        return list(names)

    return {extra: packages(extra) for extra in found if extra not in OURS}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _packages(names: list[str]) -> Iterator[Finding]:
    missing = [name for name in names if _version(name) is None]
    if missing:
        yield Finding("packages", "broken", f"missing {', '.join(missing)}", "pip install --force-reinstall ds2f")
    else:
        yield Finding("packages", "ok", f"all {len(names)} that ds2f needs, torch {_version('torch')}")


def _devices() -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", "broken", f"cannot be imported ({first_line(error)})", "pip install --upgrade torch")
        return
    yield Finding("cpu", "ok", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()}")
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        yield Finding(f"cuda:{number}", "ok", f"{about.name}, {about.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        yield Finding("mps", "ok", "Apple GPU")
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        yield Finding("gpu", "missing", "none that torch can use; drawing works without one, training is slow")


def _extras(needs: dict[str, list[str]]) -> Iterator[Finding]:
    for extra, packages in sorted(needs.items()):
        missing = [name for name in packages if _version(name) is None]
        use = FOR.get(extra, "")
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            lacks = f"{', '.join(missing[:NAMED])}{more}"
            yield Finding(extra, "missing", f"{use} (no {lacks})", f"pip install 'ds2f[{extra}]'")
        else:
            yield Finding(extra, "ok", f"{use} ({', '.join(f'{name} {_version(name)}' for name in packages)})")


def _trial() -> Finding:
    """Draw a face for a sample clip, which tests decoding, voice detector, encoder, prior and decoder at once."""
    try:
        from ds2f.demo import samples
        from ds2f.speech2face.model import Speech2Face

        model = Speech2Face.from_pretrained()
        started = time.perf_counter()
        model(samples() / "person-1.mp4", count=1)
    except (UserError, ItemError, ImportError, OSError) as error:
        return Finding("a face", "broken", first_line(error), "pip install --force-reinstall ds2f")
    seconds = time.perf_counter() - started
    return Finding("a face", "ok", f"drawn in {seconds:.1f} s on {model.device} by model {model.fingerprint}")
