"""Which packages have wheels for which machines, according to pip; and how many megabytes they take here.

    python scripts/wheels.py platforms [--python 3.12]     a table: what ds2f and its extras need, on which machines
    python scripts/wheels.py sizes [--extra NAME ...]      what ds2f with some extras adds to this disk, by package

Versions are those of constraints.txt. A package counts as available if pip finds a wheel; if only another version
allowed by pyproject.toml has one, that version is named.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LINUX = (*(f"manylinux_2_{minor}" for minor in range(39, 16, -1)), "manylinux2014")
MACHINES = {
    "Linux x86": [f"{tag}_x86_64" for tag in LINUX] + ["manylinux1_x86_64"],
    "Linux ARM": [f"{tag}_aarch64" for tag in LINUX],
    "macOS ARM": ["macosx_15_0_arm64", "macosx_15_0_universal2"],
    "macOS x86": ["macosx_15_0_x86_64", "macosx_15_0_universal2"],
    "Windows x86": ["win_amd64"],
    "Windows ARM": ["win_arm64"],
}
"""pip's names for them."""
FROM_SOURCE = {"face-recognition-models"}
"""Data only: there is no wheel, and nothing is compiled."""
WITHOUT = {"ds2f", *FROM_SOURCE}
EXTRAS: tuple[str, ...] = (
    "",
    "faces",
    "serve",
    "evaluate",
    "train",
    "hub",
    "download",
    "export",
    "upscale",
    "c2pa",
    "acoustics",
)
EXTRAS += ("resemblyzer", "onnx", "tflite", "ray", "tensorboard")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("platforms", "sizes"))
    parser.add_argument("--python", default="3.12")
    parser.add_argument("--extra", action="append", default=[])
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needs = {"": project["dependencies"], **project["optional-dependencies"]}
    if options.what == "sizes":
        _sizes(needs, options.extra)
    else:
        _platforms(needs, options.python)


def _platforms(needs: dict[str, list[str]], python: str) -> None:
    """Pinned versions first; for those without a wheel, any version that pyproject.toml allows."""
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    pinned = {_plain(name): version for name, version in pinned.items()}
    of_extra = {extra: [r for r in map(Requirement, needs[extra]) if _plain(r.name) not in WITHOUT] for extra in EXTRAS}
    ranges = {_plain(r.name): f"{r.name}{r.specifier}" for of in of_extra.values() for r in of}
    there: dict[str, dict[str, str]] = {}
    for machine, tags in MACHINES.items():
        there[machine] = _found([f"{n}=={pinned[n]}" for n in sorted(ranges.keys() & pinned.keys())], tags, python)
        there[machine] |= _found([ranges[n] for n in sorted(ranges.keys() - there[machine].keys())], tags, python)
    print(table({extra: [_plain(r.name) for r in of] for extra, of in of_extra.items()}, there, pinned))


def table(of_extra: dict[str, list[str]], there: dict[str, dict[str, str]], pinned: dict[str, str]) -> str:
    """A row for each part, a column for each machine: yes, or the packages without a wheel, or with one for another
    version only.

    of_extra: {part: packages}; there: {machine: {package: version with a wheel}}; pinned: {package: version}.
    """
    lines = [f"| part | {' | '.join(there)} |", f"| --- |{' --- |' * len(there)}"]
    for extra, names in of_extra.items():
        cells = []
        for found in there.values():
            lacks = [f"no {name}" for name in names if name not in found]
            others = [f"{n} {found[n]}" for n in names if n in found and n in pinned and found[n] != pinned[n]]
            cells.append(", ".join([*lacks, *others]) or "yes")
        lines.append(f"| {f'`{extra}`' if extra else 'ds2f alone'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _found(wanted: list[str], tags: list[str], python: str) -> dict[str, str]:
    """{name: version} of those with a wheel for a machine; pip names one that has none, and is then run again without
    it."""
    left = list(wanted)
    while left:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet"]
            command += ["--ignore-installed", "--no-deps", "--only-binary", ":all:", "--python-version", python]
            command += ["--target", folder, "--report", str(report)]
            command += [part for tag in tags for part in ("--platform", tag)]
            done = subprocess.run([*command, *left], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                installed = json.loads(report.read_text("utf-8"))["install"]
                return {_plain(i["metadata"]["name"]): i["metadata"]["version"].partition("+")[0] for i in installed}
        missing = re.search(r"(?:No matching distribution found for|Cannot install) ([\w.-]+)", done.stderr)
        if missing is None:
            sys.exit(done.stderr)
        left = [one for one in left if _plain(Requirement(one).name) != _plain(missing[1])]
    return {}


def _sizes(needs: dict[str, list[str]], extras: list[str]) -> None:
    megabytes = dict(sorted(_closure(needs, ["", *extras]).items(), key=lambda item: -item[1]))
    total, torch = sum(megabytes.values()), megabytes.get("torch", 0.0)
    print("| package | MB |\n| --- | --- |")
    for name, size in megabytes.items():
        if size >= 1:
            print(f"| {name} | {size:.0f} |")
    print(
        f"| {sum(size < 1 for size in megabytes.values())} others | {sum(s for s in megabytes.values() if s < 1):.0f} |"
    )
    print(f"| all | {total:.0f} |\n| all but torch | {total - torch:.0f} |")


def _closure(needs: dict[str, list[str]], extras: list[str]) -> dict[str, float]:
    """{package: MB of its files} of everything it depends on, as installed here."""
    found: dict[str, float] = {}
    waiting = [(Requirement(line), frozenset[str]()) for extra in extras for line in needs[extra]]
    while waiting:
        needed, of = waiting.pop()
        if needed.marker and not any(needed.marker.evaluate({"extra": extra}) for extra in of | {""}):
            continue
        name, inner = _plain(needed.name), frozenset(needed.extras)
        if name == "ds2f":
            waiting += [(Requirement(line), frozenset[str]()) for extra in inner for line in needs[extra]]
        elif name not in found:
            package = metadata.distribution(name)
            paths = (Path(str(package.locate_file(file))) for file in package.files or [] if file.suffix != ".pyc")
            found[name] = sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
            waiting += [(Requirement(line), inner) for line in package.requires or []]
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
