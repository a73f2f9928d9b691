"""Which recordings are meant, and the names of their pictures: files as given, folders with their tree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path, PurePath

from ds2f.errors import UserError
from ds2f.io.files import portable
from ds2f.io.formats import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from ds2f.io.images import FACE_FORMATS


def recordings_in(inputs: Sequence[Path]) -> list[tuple[Path, PurePath]]:
    """(file, relative path) pairs: a file as given, under its name; for a folder, every audio and video file in it
    except hidden ones, under its path in the folder. Raises UserError for a folder without any."""
    found: list[tuple[Path, PurePath]] = []
    for given in inputs:
        if not given.is_dir():
            found.append((given, PurePath(given.name)))
            continue
        inside = [(file, file.relative_to(given)) for file in sorted(given.rglob("*")) if _is_recording(file, given)]
        if not inside:
            raise UserError(f"There is no sound or video in the folder {given}; give another one, or files.")
        found += inside
    return found


def _is_recording(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.suffix.lower() in AUDIO_SUFFIXES | VIDEO_SUFFIXES and file.is_file()


def unique_stems(places: Sequence[PurePath]) -> list[str]:
    """Relative paths without their suffix, with forward slashes. Where two are equal, the suffix is appended (talk-wav,
    talk-mp4), then a number. Case is ignored, as on most Mac and Windows disks, and the names are valid on Windows."""
    plain = [portable(place.with_suffix("").as_posix()) for place in places]
    shared = Counter(stem.casefold() for stem in plain)
    stems: list[str] = []
    taken: set[str] = set()
    for place, stem in zip(places, plain, strict=True):
        if shared[stem.casefold()] > 1:
            stem = f"{stem}-{place.suffix.lstrip('.')}"
        number, base = 2, stem
        while stem.casefold() in taken:
            stem, number = f"{base}-{number}", number + 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def left_over(out: Path, stems: Sequence[str], count: int, known: Container[str]) -> list[Path]:
    """Pictures of an earlier run that drew more than `count` of a recording, called STEM-0, STEM-1, ... in `out`.

    known: names in `out` of pictures that belong to this run or to other recordings: of talk-2.wav there may be one
        called talk-2.png.
    """
    numbered: dict[Path, list[tuple[int, Path]]] = {}
    for folder in {(out / stem).parent for stem in stems}:
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            name, dash, number = file.stem.rpartition("-")
            if dash and number.isdecimal() and file.suffix in FACE_FORMATS:
                numbered.setdefault(folder / name, []).append((int(number), file))
    return [
        file
        for stem in stems
        for number, file in numbered.get(out / stem, ())
        if number >= count and file.relative_to(out).as_posix() not in known
    ]


def refuse_overwriting(out: Path, recordings: Sequence[Path], pictures: Sequence[Sequence[str]]) -> None:
    """Raise UserError if faces of another recording, with the same name in another folder, would be overwritten.

    pictures: for each recording, the names of its pictures in `out`.
    """
    try:
        entries = json.loads((out / "generation.json").read_text("utf-8"))["faces"]
        drawn = {entry["image"]: Path(entry["input"]).absolute() for entry in entries if "image" in entry}
    except (OSError, ValueError, KeyError, TypeError):
        return
    for path, names in zip(recordings, pictures, strict=True):
        for name in names:
            if name in drawn and drawn[name] != path.absolute() and (out / name).exists():
                raise UserError(f"{out} holds faces of {drawn[name]}, which {path} would replace; give another folder.")
