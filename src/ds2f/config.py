"""ds2f.toml: one file in parts, each a dataclass below. What a key may be is declared once, by its type; the comments
that `ds2f init` writes come from here too.

A part that is wrong cannot be made, wherever its values come from: the file, the command line, or Python.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import Field, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, inspect

from ds2f.errors import UserError
from ds2f.io.files import replacing
from ds2f.types import VOICE

FILE_NAME = "ds2f.toml"

Name = Annotated[str, Meta(min_length=1)]
Natural = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
AtLeast0 = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
SplitName = Literal["train", "val", "test"]


def _key(default: Any, doc: str) -> Any:
    """A configuration key: its default, and the sentence that explains it in ds2f.toml."""
    factory = {"default_factory": lambda: list(default)} if isinstance(default, list) else {"default": default}
    return field(**factory, metadata={"doc": doc})


class Part:
    """A part of the configuration. Raises UserError for a value that its key cannot have: which, and what is wanted."""

    def __post_init__(self) -> None:
        for key, kind in get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, key)
            self._refuse(_wrong(key, value, kind))
            object.__setattr__(self, key, msgspec.convert(value, kind))  # where a float is wanted, 6 becomes 6.0
        self._refuse(self._wrong_together())

    def _refuse(self, wrong: str) -> None:
        if wrong:
            part = next(kind for kind in type(self).__mro__ if Part in kind.__bases__)  # who knows more is one still
            raise UserError(f"[{part.__name__.lower()}] {wrong}.")

    def _wrong_together(self) -> str:
        """What is wrong with keys of which each is right; empty if nothing is."""
        return ""


@dataclass(frozen=True)
class Paths(Part):
    """Where things lie; relative to the folder of ds2f.toml."""

    videos: list[Name] = _key([], "folders of videos that `ds2f run` ingests")
    stills: list[Name] = _key([], "folders or uncompressed tars of still faces that `ds2f run` ingests")
    database: Name = _key("dataset.db", "the dataset: one SQLite file")
    runs: Name = _key("runs", "checkpoints and logs of training")
    faces: Name = _key("faces", "generated faces of `ds2f run`")
    report: Name = _key("report", "the report of `ds2f run`")


@dataclass(frozen=True)
class Audio(Part):
    """Voices."""

    clip_seconds: Annotated[list[Annotated[float, Meta(ge=0.1)]], Meta(min_length=1)] = _key(
        [6.0], "lengths of voice clips in seconds; shorter speech is looped"
    )
    encoders: list[Name] = _key([VOICE], "speaker encoders; docs/data.md names the others")
    languages: list[Name] = _key([], "models of spoken language, such as speechbrain:FOLDER")
    acoustics: bool = _key(False, "measure pitch, formants, rate and more; needs: pip install ds2f[acoustics]")
    min_speech: AtLeast0 = _key(1.0, "seconds of speech under which a recording is refused")
    max_seconds: Positive = _key(60.0, "heard at a time: the start, and more of a recording that says too little there")
    keep_seconds: Positive = _key(24.0, "seconds of speech stored, for other clip lengths and encoders later")
    stream: Natural = _key(0, "which sound track of a file, counted from 1; 0 = the one that a player plays")
    channel: Natural = _key(0, "which channel of it, such as one side of a call, counted from 1; 0 = all")

    def _wrong_together(self) -> str:
        usable = self.min_speech <= self.max_seconds
        return "" if usable else f"min_speech = {self.min_speech} must be at most max_seconds = {self.max_seconds}"


@dataclass(frozen=True)
class Faces(Part):
    """Faces."""

    detector: Name = _key("mtcnn", "face detector")
    encoders: list[Name] = _key([], "identity encoders besides dlib, such as uniface:arcface")
    attributes: list[Name] = _key(["ds2f-attributes"], "models of age, gender and ethnicity")
    stream: Natural = _key(0, "which picture track of a file, counted from 1; 0 = the one that a player shows")
    frames: Count = _key(5, "frames looked at per video, spread evenly")
    crop_size: Annotated[int, Meta(ge=16)] = _key(128, "pixels of the aligned crop that is stored")
    min_score: Share = _key(0.0, "detector score under which a face does not count; 0 = the detector's own default")
    min_eye_distance: AtLeast0 = _key(12.0, "pixels between the eyes under which a face is too small")
    box_crop: Natural = _key(0, "pixels of a second crop, the detector's box with margins; 0 = none")
    box_margin_height: AtLeast0 = _key(0.4, "added to the height of the box, half on either side")
    box_margin_width: AtLeast0 = _key(0.5, "added to its width")


@dataclass(frozen=True)
class Extract(Part):
    """How extraction runs."""

    engine: Literal["local", "ray"] = _key("local", "local processes, or ray: a cluster")
    ray_address: str = _key("", "of a running Ray cluster; empty starts one on this machine")
    device: str = _key("auto", "of the encoders: auto, cpu, cuda, mps")
    batch: Count = _key(8, "files that a worker takes at once; its encoders see them together")
    item_seconds: Positive = _key(120.0, "a file that takes longer is a failure")


@dataclass(frozen=True)
class Split(Part):
    """Identities are split into train, val and test; the first ingest into a database fixes how."""

    seed: int = _key(0, "another seed, another split")
    val: Share = _key(0.1, "share of the identities that training watches but does not learn from")
    test: Share = _key(0.1, "share of the identities that only evaluation sees; the rest is train")

    def _wrong_together(self) -> str:
        both = self.val + self.test
        return "" if both < 1 + 1e-9 else f"val = {self.val} and test = {self.test} must be at most 1 together"


@dataclass(frozen=True)
class Train(Part):
    """Training."""

    models: list[Literal["prior", "decoder", "fast-decoder", "attributes", "alignment"]] = _key(
        ["prior", "decoder"], "what `ds2f run` trains; [] uses a trained model as it is"
    )
    device: str = _key("auto", "auto, cpu, cuda, mps")
    compile: bool = _key(False, "torch.compile: a minute of start, then ~1.3 times as fast; needs a C++ compiler")
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = _key(0, "of weights, data order and noise")
    accumulate: Count = _key(1, "parts of a batch, in turn or on several processes; more need less memory")
    tensorboard: bool = _key(False, "log to runs/MODEL/tensorboard too; needs: pip install ds2f[tensorboard]")
    decoder_size: Annotated[int, Meta(ge=16, le=256, multiple_of=8)] = _key(64, "pixels of a generated face")
    decoder_patch: Natural = _key(0, "pixels of a patch; 0 = an eighth of the size; half of it costs four times")
    decoder_width: Annotated[int, Meta(ge=64, multiple_of=64)] = _key(256, "channels of the decoder's transformer")
    decoder_depth: Count = _key(8, "blocks of the decoder's transformer")
    decoder_batch: Count = _key(128, "faces per step")
    decoder_images: Count = _key(400_000, "faces to see in all")
    decoder_from: str = _key("", "folder of a model whose decoder to start from; empty = from nothing")
    decoder_lr: Positive = _key(1e-3, "peak learning rate of the decoder")
    decoder_likeness: AtLeast0 = _key(0.5, "weight of looking like the given identity, to dlib; 0 = pixels only")
    fast_steps: Annotated[int, Meta(ge=1, le=8)] = _key(
        4, "steps that the fast decoder draws in; with more the decoder is as good"
    )
    fast_batch: Count = _key(16, "faces per step of the fast decoder")
    fast_faces: Count = _key(16_000, "faces that the decoder draws for it, in all")
    fast_lr: Positive = _key(3e-4, "peak learning rate of the fast decoder")
    fast_likeness: AtLeast0 = _key(0.05, "weight of looking like the given identity; 0 = as the decoder draws")
    voices: Annotated[list[Name], Meta(min_length=1)] = _key(
        [VOICE], "stored speaker encoders that the models hear, and acoustics"
    )
    prior_width: Annotated[int, Meta(ge=8)] = _key(
        64, "channels of the prior's network; a few hundred pairs need no more"
    )
    prior_depth: Count = _key(2, "blocks of the prior's network")
    prior_batch: Count = _key(128, "pairs per step")
    prior_steps: Count = _key(600, "steps of the prior; a few hundred pairs are soon learnt by heart")
    prior_lr: Positive = _key(1e-3, "peak learning rate of the prior")
    attributes_batch: Count = _key(256, "labelled faces per step")
    attributes_faces: Count = _key(400_000, "labelled faces that the attribute model sees in all")
    attributes_lr: Positive = _key(1e-3, "peak learning rate of the attribute model")
    alignment_batch: Count = _key(1024, "pairs per step; every other face of a batch is one to be told from")
    alignment_lr: Positive = _key(1e-3, "peak learning rate of the alignment")
    save_seconds: AtLeast0 = _key(120.0, "seconds between checkpoints")

    def _wrong_together(self) -> str:
        size, patch = self.decoder_size, self.decoder_patch
        fits = patch == 0 or size % patch == 0
        return "" if fits else f"decoder_patch = {patch} must divide decoder_size = {size}, or be 0"


@dataclass(frozen=True)
class Generate(Part):
    """Generation. An empty model means the checkpoint that ships inside the package."""

    model: str = _key("", "folder of a model, or empty for the one that ships with ds2f")
    size: Natural = _key(0, "pixels of a face, of those that the model draws; 0 = as its main decoder does")
    count: Count = _key(4, "faces per recording")
    seed: int = _key(0, "any whole number; the same one gives the same face on the same machine")
    sampler: Literal["multistep", "heun", "euler"] = _key(
        "multistep", "multistep, heun (two evaluations a step) or euler"
    )
    steps: Count = _key(10, "sampler steps: more is finer and slower; 4 give a quick first look")
    guidance: AtLeast0 = _key(2.0, "how strictly the face follows voice and wishes; 1 = no guidance")
    guide_guidance: AtLeast0 = _key(1.0, "how strictly it follows a guide picture")
    fast: bool = _key(True, "the fast decoder draws, unless steps, sampler or guidance are changed")
    direct: bool = _key(False, "let the decoder hear the voice itself, without the prior")
    voice_guidance: AtLeast0 = _key(3.0, "how far a face departs from the average the way the voice points; 1 = barely")
    temperature: AtLeast0 = _key(0.4, "0 = the most typical person for a voice, 1 = the prior's whole variety")
    noise: AtLeast0 = _key(0.85, "scale of the noise that a picture starts from; below 1 calmer pictures")


@dataclass(frozen=True)
class Evaluate(Part):
    """Evaluation."""

    split: SplitName = _key("test", "split that is measured: train, val or test")
    bootstrap: Count = _key(1000, "resamples of the identities for the 95 % intervals")
    spaces: list[Name] = _key([], "face encoders to measure in besides dlib; empty = all that the dataset holds")
    trained_spaces: list[Name] = _key(["dlib"], "face encoders that training has seen; the report says so")
    inception: str = _key("", "inception-2015-12-05.pt, of your own, for the FID; empty = no FID")
    vggface: str = _key("", "VGGFace2's ResNet-50 with its classes, TorchScript of your own, for SF2F's VGGFace score")
    guided_clips: Count = _key(100, "clips that evaluate --guided takes at most; each is drawn 24 times")
    allow_leak: bool = _key(False, "measure although test and train overlap; the report names it")


@dataclass(frozen=True)
class Config:
    """All parts, and the folder that paths are relative to."""

    paths: Paths = field(default_factory=Paths)
    audio: Audio = field(default_factory=Audio)
    faces: Faces = field(default_factory=Faces)
    extract: Extract = field(default_factory=Extract)
    split: Split = field(default_factory=Split)
    train: Train = field(default_factory=Train)
    generate: Generate = field(default_factory=Generate)
    evaluate: Evaluate = field(default_factory=Evaluate)
    folder: Path = Path()

    def path(self, value: str) -> Path:
        """A path of the configuration, made relative to where ds2f.toml lies."""
        return self.folder / value


def parts() -> list[Field[Any]]:
    return [f for f in fields(Config) if f.name != "folder"]


def load(path: Path | None = None) -> Config:
    """Read ds2f.toml; without a path, the one in this folder if there is one, else all defaults.

    Raises UserError for unreadable TOML, an unknown part or key, or a value of the wrong kind.
    """
    if path is None:
        path = Path(FILE_NAME)
        if not path.exists():
            return Config()
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except OSError as error:
        raise UserError(f"The configuration {path} cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"The configuration {path} is not valid TOML: {error}.") from None
    known: dict[str, Any] = {part.name: part.default_factory for part in parts()}
    values: dict[str, Any] = {}
    for name, table in data.items():
        if name not in known or not isinstance(table, dict):
            raise UserError(f"{path}: unknown part [{name}]; the parts are {', '.join(known)}.")
        values[name] = _read_part(path, name, known[name], table)
    return Config(**values, folder=path.parent)


def with_recipe(config: Config, recipe: str) -> Config:
    """The configuration with [train] as a recipe has it. recipe: one that ships with ds2f, or a TOML file.

    Raises UserError for a recipe that is not there, and for what `load` refuses.
    """
    shipped = {file.name.removesuffix(".toml"): file for file in sorted((files("ds2f") / "recipes").iterdir(), key=str)}
    path = Path(str(shipped.get(recipe, recipe)))
    if recipe not in shipped and not path.is_file():
        raise UserError(f"There is no recipe {recipe!r}; choose {', '.join(shipped)}, or give a TOML file.")
    found = load(path)
    others = [part.name for part in parts() if part.name != "train" and getattr(found, part.name) != part_default(part)]
    if others:
        raise UserError(f"{path}: a recipe has [train] alone, not [{others[0]}]; that part belongs into {FILE_NAME}.")
    stated = tomllib.loads(path.read_text()).get("train", {})
    return replace(config, train=replace(config.train, **{key: getattr(found.train, key) for key in stated}))


def part_default(part: Field[Any]) -> Any:
    return part.default_factory()  # type: ignore[operator]


def _read_part(path: Path, name: str, kind: type[Part], table: dict[str, Any]) -> Part:
    keys = get_type_hints(kind)
    for key in table:
        if key not in keys:
            raise UserError(f"{path}: unknown key {key!r} in [{name}]; the keys are {', '.join(keys)}.")
    try:
        return kind(**table)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _wrong(key: str, value: Any, kind: Any) -> str:
    """What is wrong with a value, as a sentence without its end; empty if nothing is."""
    several = value if isinstance(value, list) else []
    if any(isinstance(number, float) and not math.isfinite(number) for number in several or [value]):
        return f"{key} = {value} must be {'numbers' if several else 'a number'}"
    for number, one in enumerate(several):
        if one in several[:number]:
            return f"{key} names {json.dumps(one, default=str)} twice"
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        word, limits = _wanted(inspect.type_info(kind))
        if limits and (type(value) is int or (type(value) is float and word == "float")):
            return f"{key} = {value} must be {limits}"
        return f"{key} must be {word}, not {json.dumps(value, default=str)}"
    return ""


def _wanted(kind: Any) -> tuple[str, str]:
    """What a type takes, and the range of its numbers, in words."""
    match kind:
        case inspect.ListType():
            word, limits = _wanted(kind.item_type)
            word = {"float": "numbers", "int": "whole numbers", "str": "strings", "a name": "names"}.get(
                word, word.removeprefix("one of ")
            )
            more = ["one or more"] * bool(kind.min_length) + [f"each {limits}"] * bool(limits)
            return f"a list of {word}" + (f" ({', '.join(more)})" if more else ""), ""
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, kind.values))}", ""
        case inspect.BoolType():
            return "bool", ""
        case inspect.StrType():
            return "a name" if kind.min_length else "str", ""
    ranges = [f"a multiple of {kind.multiple_of}"] if kind.multiple_of else []
    if kind.le is not None:
        ranges.append(f"from {kind.ge:.15g} to {kind.le:.15g}")
    elif kind.ge is not None:
        ranges.append(f"at least {kind.ge:g}")
    elif kind.gt is not None:
        ranges.append(f"more than {kind.gt:g}")
    return "int" if isinstance(kind, inspect.IntType) else "float", " and ".join(ranges)


def write_default(path: Path) -> None:
    """Write a commented ds2f.toml. Raises UserError if it is there already or cannot be written."""
    if path.exists():
        raise UserError(f"{path} exists already; remove it first if you want a fresh one.")
    lines = ["# ds2f: every key with its default. Change what you need, delete what you do not."]
    for part in parts():
        kind = type(part.default_factory())  # type: ignore[operator]
        lines += ["", f"# {' '.join((kind.__doc__ or '').split())}", f"[{part.name}]"]
        for key in fields(kind):
            value = json.dumps(getattr(kind(), key.name))
            lines.append(f"{key.name} = {value}".ljust(32) + f"  # {key.metadata['doc']}")
    try:
        with replacing(path) as aside:
            aside.write_text("\n".join(lines) + "\n")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); make room, or give another --config.") from None
