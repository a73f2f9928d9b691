"""Identity vectors of a folder of pictures that some method drew for the clips of a split.

The picture of the clip `a/b.mp4` is `FOLDER/a/b.png` (or .jpg, .jpeg, .webp); several are `a/b-0.png`, `a/b-1.png`, and
so on, and all of them count. (For clips that share `a/b`, see `dataset.keys.picture_stems`.) They are processed like
real faces: by the same detector and the same face encoders.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from ds2f.config import Faces
from ds2f.dataset.queries import Pair
from ds2f.errors import ItemError, UserError
from ds2f.evaluation.baselines import Answers
from ds2f.evaluation.inception import INCEPTION, Inception
from ds2f.evaluation.judges import Judge
from ds2f.extract.engines.local import become_worker, starting_workers
from ds2f.face.registry import load_attributes
from ds2f.io.files import portable
from ds2f.io.images import decode_image, read_image
from ds2f.types import DLIB, Source

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SHEET = "contact-sheet.png"  # that `ds2f generate --sheet` writes beside the pictures

Embed = Callable[[Path], Mapping[str, np.ndarray]]
"""Maps a picture file to {space: (d,) identity vector}. Raises ItemError if it shows no usable face."""


def embedder(
    spaces: Sequence[str], inception: str = "", encoders: Sequence[str] = (), judges: Sequence[Judge] = ()
) -> Embed:
    """MTCNN and the face encoders, loaded once, as extraction uses them; optionally Inception, from a file, applied to
    the canonical crop as it would be stored. encoders: specs, as in [faces] encoders, of the `spaces` whose names do
    not say how they are loaded. judges: attribute models applied to the picture; their estimates are returned under
    their keys.

    Raises UserError for an encoder that is missing.
    """
    from ds2f.face.encode import FaceEncoder

    cv2.setNumThreads(1)  # the last bits of a vector may depend on the number of threads
    encoder = FaceEncoder(Faces(encoders=list(encoders)))
    others = [space for space in spaces if space != DLIB]
    for space in others:
        encoder.embedder(space)

    network = Inception(Path(inception)) if inception else None
    looking = [(judge, load_attributes(judge.spec)) for judge in judges]

    def embed(path: Path) -> dict[str, np.ndarray]:
        found = encoder.encode(read_image(Source(path)))
        more = {space: encoder.embed(space, [found.image], [found.place])[0] for space in others}
        if network is not None:
            more[INCEPTION] = network.features([decode_image(found.face.webp)])[0]
        for judge, model in looking:
            seen = model.predict([found.image], [found.place], found.face.identity[None])
            more[judge.key] = judge.rows(seen)[0]
        return {DLIB: found.face.identity, **more}

    return embed


_embed: Embed | None = None  # the worker's own, set by _start
_why_not: Exception | None = None  # why there is none


def embed_in_workers(files: Sequence[Path], make: Callable[[], Embed], workers: int, tick: Callable[[], None]) -> Embed:
    """Embed pictures in worker processes; the returned function only looks up the results.

    files: pictures.
    make: creates a worker's embedder, such as a partial of `embedder`.
    workers: processes, at least 1.
    tick: called after every picture.
    Raises what `make` raises, and UserError if a worker dies.
    """
    found: dict[Path, Mapping[str, np.ndarray] | tuple[str, str]] = {}
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, max(len(files), 1)), context, initializer=_start, initargs=(make,))
    try:
        with starting_workers():
            looking = pool.map(_look, files)
        for file, seen in zip(files, looking, strict=True):
            found[file] = seen
            tick()
    except BrokenProcessPool:
        raise UserError("A worker process that embeds pictures died (out of memory?); use fewer --workers.") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

    def embed(path: Path) -> Mapping[str, np.ndarray]:
        seen = found[path]
        if isinstance(seen, tuple):
            raise ItemError(*seen)
        return seen

    return embed


def _start(make: Callable[[], Embed]) -> None:
    global _embed, _why_not
    try:
        become_worker()
        _embed = make()
    except Exception as error:  # noqa: BLE001 - raised here it would look like a crash; see _look
        _why_not = error


def _look(file: Path) -> Mapping[str, np.ndarray] | tuple[str, str]:
    """The vectors from the worker's embedder, or the stage and reason of its failure."""
    if _embed is None:
        assert _why_not is not None
        raise _why_not
    try:
        return _embed(file)
    except ItemError as error:
        return error.stage, error.reason


def find_pictures(folder: Path, pairs: Sequence[Pair]) -> list[list[Path]]:
    """The pictures of each clip, in order. Raises UserError if the folder is missing or has no picture of any clip."""
    if not folder.is_dir():
        raise UserError(f"There is no folder of pictures at {folder}; make it with ds2f generate, or give another.")
    stems = {pair.picture for pair in pairs}
    found = [next(filter(None, (_pictures(folder, n, stems) for n in _names(pair))), []) for pair in pairs]
    if not any(found):
        wanted = folder / f"{pairs[0].picture}.png"
        raise UserError(
            f"No picture in {folder} belongs to any of the {len(pairs)} clips; a picture must have the "
            f"path of its clip with another suffix, such as {wanted}."
        )
    return found


def unused_pictures(folder: Path, pairs: Sequence[Pair], stems: Iterable[str]) -> list[str]:
    """Pictures in a folder that are measured for none of the clips, as paths in it, with slashes.

    folder: of a method's pictures.
    pairs: the measured clips.
    stems: paths of the pictures of all recordings of the dataset, see `Dataset.picture_stems`; pictures of those that
        are not measured, such as clips of another split, are not listed.
    Raises UserError as `find_pictures` does.
    """
    measured = {file for of_clip in find_pictures(folder, pairs) for file in of_clip}
    others = set(stems) - {pair.picture for pair in pairs}

    def unknown(name: PurePosixPath) -> bool:
        stem = portable(name.with_suffix("").as_posix())
        base, _, number = stem.rpartition("-")
        return stem not in others and not (base in others and number.isdigit())

    files = [file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file not in measured]
    names = [PurePosixPath(file.relative_to(folder).as_posix()) for file in sorted(files)]
    return [str(n) for n in names if unknown(n) and str(n) != SHEET and not any(p.startswith(".") for p in n.parts)]


def _names(pair: Pair) -> tuple[str, ...]:
    """The possible names of a clip's pictures: the name that ds2f gives them and, if the clip's own path differs
    only to be valid on Windows, also that path, as other programs use it."""
    plain = PurePosixPath(pair.path).with_suffix("").as_posix()
    return (pair.picture, plain) if plain != pair.picture == portable(plain) else (pair.picture,)


def embed_pictures(
    name: str,
    folder: Path,
    files: Sequence[Sequence[Path]],
    embed: Embed,
    dims: Mapping[str, int],
    tick: Callable[[], None],
) -> Answers:
    """The vectors of a method's pictures. A clip without a picture and a picture without a face get a row of NaN, so
    that they count as a blind guess.

    name: of the method.
    folder: of its pictures.
    files: of each clip, see `find_pictures`.
    embed: maps a picture to its vectors.
    dims: {space: length of a vector}.
    tick: called after every picture.
    """
    clips: list[int] = []
    shown: list[Path | None] = []
    vectors: dict[str, list[np.ndarray]] = {space: [] for space in dims}
    faceless = 0
    for clip, of_clip in enumerate(files):
        wanted: Sequence[Path | None] = of_clip or [None]
        for file in wanted:
            found: Mapping[str, np.ndarray] = {}
            if file is not None:
                try:
                    found = embed(file)
                except ItemError:
                    faceless += 1
                tick()
            clips.append(clip)
            shown.append(file)
            for space, dim in dims.items():
                vectors[space].append(found.get(space, np.full(dim, np.nan)))
    return Answers(
        name,
        "images",
        str(folder),
        np.array(clips),
        {space: np.stack(rows).astype(np.float64) for space, rows in vectors.items()},
        real=True,
        files=tuple(shown),
        missing=sum(not of_clip for of_clip in files),
        faceless=faceless,
    )


def _pictures(folder: Path, stem: str, stems: Set[str]) -> list[Path]:
    """`a-0.png` may be the first picture of clip `a` or the only one of a clip `a-0`: it belongs to the latter,
    unless that has numbered pictures of its own. stems: of all clips."""
    several: list[Path] = []
    while found := _picture(folder / (numbered := f"{stem}-{len(several)}")):
        if numbered in stems and not _picture(folder / f"{numbered}-0"):
            break
        several.append(found)
    single = _picture(folder / stem)
    base, _, number = stem.rpartition("-")
    of_another = several and base in stems and number.isdigit()
    return several if single is None or of_another else [single]


def _picture(stem: Path) -> Path | None:
    return next((path for suffix in SUFFIXES if (path := Path(f"{stem}{suffix}")).is_file()), None)
