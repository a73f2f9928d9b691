"""From recordings, or the clips of a dataset, to files of faces, with one generation.json beside them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from ds2f import __version__
from ds2f.dataset import Dataset, outputs
from ds2f.dataset.pairing import Clip, clips
from ds2f.dataset.recordings import spoken, stored_voices
from ds2f.diffusion.plain import SET
from ds2f.errors import ItemError, UserError
from ds2f.io.files import make_folder, replacing, write_json
from ds2f.io.images import FACE_FORMATS, NOTICE, details_of, write_face
from ds2f.models import folders
from ds2f.speech2face import wishes
from ds2f.speech2face.names import left_over, recordings_in, refuse_overwriting, unique_stems
from ds2f.speech2face.settings import SamplingSettings
from ds2f.speech2face.upscale import larger
from ds2f.types import ACOUSTICS, NO_WISH, Excerpt, Progress, Wish

if TYPE_CHECKING:
    from ds2f.speech2face.model import Speech2Face
    from ds2f.speech2face.quick import QuickSpeech2Face

IDENTITIES = "identities.safetensors"
AT_ONCE = 16  # faces of a recording that are drawn before they are written


@dataclass(frozen=True)
class Written:
    """What was written. faces: paths of the pictures; refused: (recording, reason) for those without a face; sources:
    the recording of each picture, as a path relative to the input; left_over: further pictures of the same recordings,
    from an earlier run that drew more; parts: (recording, what of it was heard) for long ones."""

    faces: list[Path]
    refused: list[tuple[Path, str]]
    sources: list[str]
    left_over: list[Path] = field(default_factory=list)
    parts: list[tuple[Path, Excerpt]] = field(default_factory=list)


@dataclass(frozen=True)
class Form:
    """The format of the pictures. format: png, webp or jpeg; upscale: one of `upscale.FACTORS`."""

    format: str = "png"
    upscale: int = 1

    @property
    def suffix(self) -> str:
        return next(suffix for suffix, name in FACE_FORMATS.items() if name == self.format)

    def said(self) -> dict[str, Any]:
        """What differs from a plain PNG, for generation.json."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Form, name)}


def from_files(
    model: Speech2Face | QuickSpeech2Face,
    inputs: Sequence[Path],
    out: Path,
    count: int,
    seed: int,
    settings: SamplingSettings,
    wish: Wish = NO_WISH,
    progress: Progress | None = None,
    form: Form = Form(),
) -> Written:
    """Write <stem>-<i>.png, `count` per recording, and generation.json.

    model: draws the faces.
    inputs: recordings, and folders of them, whose tree is kept. A recording that cannot be used does not stop the
        others.
    out: folder for the pictures, created if missing.
    count, seed: faces per recording, with the seeds seed, seed + 1, ...
    settings, wish: how they are drawn, and what is asked for besides the voice.
    progress: called with (recordings done, total, name of the next).
    form: format of the pictures.
    Raises UserError if a folder contains no recording, or `out` cannot be written.
    """
    recordings = recordings_in(inputs)
    there = out.exists()
    make_folder(out)
    files, stems = [file for file, _ in recordings], unique_stems([place for _, place in recordings])
    names = [[f"{stem}-{i}{form.suffix}" for i in range(count)] for stem in stems]
    refuse_overwriting(out, files, names)
    faces: list[Path] = []
    sources: list[str] = []
    refused: list[tuple[Path, str]] = []
    entries: list[dict[str, Any]] = []
    vectors: dict[str, np.ndarray] = {}
    parts: list[tuple[Path, Excerpt]] = []
    show = progress or (lambda *_: None)
    try:
        for done, ((path, place), its_names) in enumerate(zip(recordings, names, strict=True)):
            source = path.read_bytes() if path.is_fifo() else path  # a pipe can be read only once
            for first in range(0, count, AT_ONCE):
                show(done, len(files), place.as_posix() + (f", face {first + 1} of {count}" if first else ""))
                some = its_names[first : first + AT_ONCE]
                try:
                    drawn = model(
                        source, len(some), seed + first, gender=wish.gender, age=wish.age, ethnicity=wish.ethnicity,
                        language=wish.language, guide=wish.guide, settings=settings,
                    )  # fmt: skip
                except ItemError as error:
                    refused.append((path, error.reason))
                    entries.append({"input": str(path), "failed": error.reason})
                    break
                if drawn.part and not first:
                    parts.append((path, drawn.part))
                for number, (name, face) in enumerate(zip(some, drawn, strict=True), first + 1):
                    if form.upscale > 1:  # which takes half a minute and more a face
                        show(done, len(files), f"{place.as_posix()}, enlarging face {number} of {count}")
                    face.upscaled(form.upscale).save(out / name)
                    faces.append(out / name)
                    sources.append(place.as_posix())
                    vectors[name] = face.identity
                    entries.append({"input": str(path), "image": name, "seed": face.seed})
        show(len(files), len(files), "")
    finally:  # a run that is stopped has drawn faces, too
        if faces:
            record = _record(model, {**asdict(settings), **wishes.as_json(wish)}, form)
            earlier, their_vectors = _of_earlier_runs(out, record, vectors, {str(file) for file in files})
            _write(out, record, [*earlier, *entries], their_vectors | vectors)
        elif not there:
            with suppress(OSError):  # it holds folders already
                out.rmdir()
    more = left_over(out, stems, count, {name for of in names for name in of})
    return Written(faces, refused, sources, more, parts)


def from_dataset(
    model: Speech2Face,
    dataset: Dataset,
    split: str | None,
    out: Path,
    count: int,
    seed: int,
    settings: SamplingSettings,
    progress: Progress | None = None,
    form: Form = Form(),
) -> Written:
    """Draw `count` faces per clip of a split. A face is written to the clip's path relative to its ingested root, with
    the suffix .png; for several faces, -0.png, -1.png and so on. (For clips that share that path, see
    `dataset.keys.picture_stems`.)

    model: draws the faces.
    dataset, split: whose voices to use: train, val, test, or None for all; those of videos that show a face, and all
        sounds.
    out: folder for the pictures. Existing faces from the same voice, model, seed and settings are kept, so an
        interrupted run resumes.
    count, seed: faces per clip. The clips' first seeds are seed, seed + 4, ..., or further apart for more than four
        faces, so that no two clips share a group of four (see `diffusion.plain.typical_first`).
    settings: how they are drawn.
    progress: called with (faces done, total).
    form: format of the pictures.
    Raises UserError if no clip of the split has the voice that the model takes, or `out` cannot be written.
    """
    from ds2f.speech2face.draw import BATCH

    make_folder(out)
    chosen = heard_clips(model, dataset, split)
    outputs.remember(dataset, "faces", out)
    voices = voices_of(model, dataset, split, [clip.file for clip in chosen]).repeat(count, axis=0)
    direct = _decoder_voices(model, dataset, split, [clip.file for clip in chosen], count) if settings.direct else {}
    apart = SET * math.ceil(count / SET)
    first = wishes.seeds_from(seed, apart * len(chosen))[::apart]
    seeds = [one + i for one in first for i in range(count)]
    identities = model.identities_to_draw(voices, seeds, settings)
    stems, ending = [clip.picture for clip in chosen], form.suffix
    pictures = [f"{stem}-{i}{ending}" if count > 1 else f"{stem}{ending}" for stem in stems for i in range(count)]
    inputs = [{"root": clip.root, "input": clip.path} for clip in chosen for _ in range(count)]
    if count > 1 and any((out / f"{stem}{ending}").exists() for stem in stems):
        raise UserError(f"{out} has one face per clip, which would hide {count} per clip; give another folder.")
    record, show = _record(model, asdict(settings), form), progress or (lambda *_: None)
    others, their_vectors = _of_earlier_runs(out, record, set(pictures))
    if differ := [e for e in others if "root" in e and _drawn_otherwise(e, record)]:
        raise UserError(
            f"{out} holds {len(differ):,} other faces, of another model or with other settings; give another folder."
        )
    own = {(clip.root, clip.path) for clip in chosen}
    known = {*pictures, *(e["image"] for e in others if "root" in e and (e["root"], e["input"]) not in own)}
    if more := left_over(out, stems, count if count > 1 else 0, known):
        raise UserError(
            f"{out} has more than {count} faces of some clips ({more[0].name}), which would be measured with the "
            "new ones; give another folder."
        )
    details = model.details(settings) | ({"upscale": form.upscale} if form.upscale > 1 else {})
    wanted = [
        made_from({"seed": one, **details}, voices[i], *(vectors[i] for vectors in direct.values()))
        for i, one in enumerate(seeds)
    ]
    todo = [i for i, name in enumerate(pictures) if details_of(out / name) != wanted[i]]
    entries = [{**c, "image": n, "seed": s} for c, n, s in zip(inputs, pictures, seeds, strict=True)]
    if todo:  # while they are being replaced, nothing may say that all are of an earlier model
        _write(out, record, others, their_vectors)
    for start in range(0, len(todo), BATCH):
        rows = todo[start : start + BATCH]
        shown = None if settings.direct else identities[rows]
        heard = {name: vectors[rows] for name, vectors in direct.items()}
        images = model.sample_images(shown, [seeds[i] for i in rows], settings, voice_conditions=heard)
        for i, image in zip(rows, images, strict=True):
            picture = Image.fromarray(larger(image, form.upscale, settings.watermark))
            write_face(out / pictures[i], picture, wanted[i], signer=model.signer)
        show(len(pictures) - len(todo) + start + len(rows), len(pictures), "")
    show(len(pictures), len(pictures), "")
    _write(out, record, [*others, *entries], their_vectors | dict(zip(pictures, identities, strict=True)))
    return Written([out / name for name in pictures], [], [entry["input"] for entry in inputs])


def made_from(details: Mapping[str, Any], *vectors: np.ndarray) -> dict[str, Any]:
    """The details of a face, with a short hash of everything it is drawn from, by which an existing face is recognised
    as the one wanted. vectors: embeddings of the voice. Without them the hash reveals nothing, and as it covers seed
    and model, no two pictures of one voice share it."""
    found = hashlib.sha256(json.dumps(details, sort_keys=True).encode())
    for vector in vectors:
        found.update(np.asarray(vector, "<f4").tobytes())
    return {**details, "made_from": found.hexdigest()[:16]}


def heard_clips(model: Speech2Face, dataset: Dataset, split: str | None) -> list[Clip]:
    """Clips of a split (None: of all) that have a voice of the model's encoder and clip length. Raises UserError if
    there are none."""
    seconds = model.prior.config.clip_seconds
    names = [name for name in model.prior.config.voices if name != ACOUSTICS]
    found = clips(dataset, split, names[0] if names else dataset.voice_encoder(), seconds)
    if not found:
        _refuse_voices(dataset, split, names[0] if names else ACOUSTICS, seconds)
    return found


def _refuse_voices(dataset: Dataset, split: str | None, name: str, seconds: float) -> NoReturn:
    """Raise a UserError that says which voices the model takes, and which the dataset has instead."""
    voices = {voice for recording in spoken(dataset, split) for voice in recording.voices}
    lengths = sorted({length for encoder, length in voices if encoder == name})
    if not voices:
        where = "" if split is None else f" in split {split!r}"
        raise UserError(f"{dataset.path} has no usable clips{where}; run `ds2f extract` first.")
    if lengths and seconds not in lengths:
        stored = " and ".join(f"{length:g}" for length in lengths)
        raise UserError(
            f"The model takes clips of {seconds:g} s; {dataset.path} has voices of {stored} s. "
            f"Add {seconds:g} to [audio] clip_seconds, and run `ds2f extract` again."
        )
    raise UserError(
        f"{dataset.path} has no voices by {name!r}, which the model takes; "
        "add it to [audio] encoders and run ds2f extract."
    )


def voices_of(model: Speech2Face, dataset: Dataset, split: str | None, files: Sequence[int]) -> np.ndarray:
    """(n, d) float32: the voices of n files of a split as the model takes them, at its own clip length.

    Raises UserError if no file has a voice by one of the model's encoders, or if a file has none by any of them.
    """
    config, known = model.prior.config, {r.video_id: r for r in spoken(dataset, split)}
    encoded = [{name: known[file].heard(name, config.clip_seconds) for name in config.voices} for file in files]
    for name in config.voices:
        if all(voices[name] is None for voices in encoded):
            _refuse_voices(dataset, split, name, config.clip_seconds)
    for file, voices in zip(files, encoded, strict=True):
        if all(vector is None for vector in voices.values()):
            raise UserError(
                f"File {file} of {dataset.path} has no voice that the model takes; run `ds2f extract` first."
            )
    return model.voice_inputs(encoded)


def _decoder_voices(
    model: Speech2Face, dataset: Dataset, split: str | None, files: Sequence[int], count: int
) -> dict[str, np.ndarray]:
    """{speaker encoder: (n, d)}: the voice of each clip, repeated `count` times, as the decoder itself takes it."""
    known, found = {r.video_id: r for r in spoken(dataset, split)}, {}
    for name in model.decoder_voices(stored_voices(dataset)):
        heard = (known[file].heard(name, model.prior.config.clip_seconds) for file in files)
        vectors = [vector for vector in heard if vector is not None]
        if len(vectors) < len(files):
            raise UserError(f"Not all clips of {dataset.path} have a row of {name!r}; run `ds2f extract` first.")
        found[name] = np.stack(vectors).repeat(count, axis=0)
    return found


def _record(model: Speech2Face | QuickSpeech2Face, settings: dict[str, Any], form: Form) -> dict[str, Any]:
    """What generation.json states besides the faces."""
    return {
        "notice": NOTICE,
        "ds2f": __version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {
            "folder": str(model.folder),
            "fingerprint": model.fingerprint,
            "prior": folders.digest(model.folder, "prior"),
        },
        "settings": {**settings, **form.said()},
        "size": model.size * form.upscale,
        "identity_vectors": IDENTITIES,
    }


def _of_earlier_runs(
    out: Path, record: dict[str, Any], pictures: Container[str], inputs: Container[str] = ()
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Entries and vectors of the folder's other faces, not among `pictures`, and entries of recordings that failed and
    are not among `inputs`."""
    entries = [e for e in _entries(out) if (e["image"] not in pictures if "image" in e else e["input"] not in inputs)]
    now = json.loads(json.dumps(record))
    known = load_file(out / IDENTITIES) if entries and (out / IDENTITIES).is_file() else {}
    vectors = {e["image"]: known[e["image"]] for e in entries if e.get("image") in known}
    return [{name: value for name, value in e.items() if now.get(name) != value} for e in entries], vectors


PER_RUN = ("model", "settings", "size")
"""What generation.json states once for all its faces, and again in the entry of a face of another run if it differs."""


def _entries(out: Path) -> list[dict[str, Any]]:
    """What generation.json says of each face that is still there, with what it says of all, and of each failure."""
    try:
        old = json.loads((out / "generation.json").read_text("utf-8"))
        whole = [{name: old[name] for name in PER_RUN} | entry for entry in old["faces"]]
        return [e for e in whole if e["input"] and ("image" not in e or (out / e["image"]).is_file())]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _drawn_otherwise(entry: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    model = entry.get("model", record["model"])  # the same one may lie elsewhere now
    return "settings" in entry or "size" in entry or model["fingerprint"] != record["model"]["fingerprint"]


def _write(out: Path, record: dict[str, Any], entries: list[dict[str, Any]], vectors: dict[str, np.ndarray]) -> None:
    with replacing(out / IDENTITIES) as aside:
        save_file({name: np.ascontiguousarray(vector) for name, vector in vectors.items()}, aside)
        aside.chmod(0o644)  # safetensors writes files that other users may not read
    write_json(out / "generation.json", {**record, "faces": entries})
