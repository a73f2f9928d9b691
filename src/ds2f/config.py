"""ds2f.toml: one file in parts, each a dataclass below. The comments that `ds2f init` writes come from here."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import Field, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ds2f.errors import UserError
from ds2f.io.files import replacing
from ds2f.types import VOICE

FILE_NAME = "ds2f.toml"


def _key(
    default: Any, doc: str, least: float | None = None, most: float | None = None, above: float | None = None
) -> Any:
    """A configuration key: its default, the sentence that explains it in ds2f.toml, and the range of its number."""
    factory = {"default_factory": lambda: default} if isinstance(default, list) else {"default": default}
    return field(**factory, metadata={"doc": doc, "least": least, "most": most, "above": above})


@dataclass(frozen=True)
class Paths:
    """Where things lie; relative to the folder of ds2f.toml."""

    videos: list[str] = _key([], "folders of videos that `ds2f run` ingests")
    stills: list[str] = _key([], "folders or uncompressed tars of still faces that `ds2f run` ingests")
    database: str = _key("dataset.db", "the dataset: one SQLite file")
    runs: str = _key("runs", "checkpoints and logs of training")
    faces: str = _key("faces", "generated faces of `ds2f run`")
    report: str = _key("report", "the report of `ds2f run`")


@dataclass(frozen=True)
class Audio:
    """Voices."""

    clip_seconds: list[float] = _key([6.0], "lengths of voice clips in seconds; shorter speech is looped")
    encoders: list[str] = _key([VOICE], "speaker encoders; docs/data.md names the others")
    languages: list[str] = _key([], "models of spoken language, such as speechbrain:FOLDER")
    acoustics: bool = _key(False, "measure pitch, formants, rate and more; needs: pip install ds2f[acoustics]")
    min_speech: float = _key(1.0, "seconds of speech under which a recording is refused")
    max_seconds: float = _key(60.0, "only this much of the start of a recording is decoded")
    keep_seconds: float = _key(24.0, "seconds of speech stored, for other clip lengths and encoders later")


@dataclass(frozen=True)
class Faces:
    """Faces."""

    detector: str = _key("mtcnn", "face detector")
    encoders: list[str] = _key([], "identity encoders besides dlib, such as uniface:arcface")
    attributes: list[str] = _key(["ds2f-attributes"], "models of age, gender and ethnicity")
    frames: int = _key(5, "frames looked at per video, spread evenly")
    crop_size: int = _key(128, "pixels of the aligned crop that is stored")
    min_score: float = _key(0.0, "detector score under which a face does not count; 0 = the detector's own default")
    min_eye_distance: float = _key(12.0, "pixels between the eyes under which a face is too small")
    box_crop: int = _key(0, "pixels of a second crop, the detector's box with margins; 0 = none")
    box_margin_height: float = _key(0.4, "added to the height of the box, half on either side")
    box_margin_width: float = _key(0.5, "added to its width")


@dataclass(frozen=True)
class Extract:
    """How extraction runs."""

    engine: str = _key("local", "local processes, or ray: a cluster")
    ray_address: str = _key("", "of a running Ray cluster; empty starts one on this machine")
    device: str = _key("auto", "of the encoders: auto, cpu, cuda, mps")
    batch: int = _key(8, "files that a worker takes at once; its encoders see them together")
    item_seconds: float = _key(120.0, "a file that takes longer is a failure")


@dataclass(frozen=True)
class Split:
    """Identities are split into train, val and test; the first ingest into a database fixes how."""

    seed: int = _key(0, "another seed, another split")
    val: float = _key(0.1, "share of the identities that training watches but does not learn from")
    test: float = _key(0.1, "share of the identities that only evaluation sees; the rest is train")


@dataclass(frozen=True)
class Train:
    """Training."""

    models: list[str] = _key(["prior", "decoder"], "what `ds2f run` trains; [] uses a trained model as it is")
    device: str = _key("auto", "auto, cpu, cuda, mps")
    compile: bool = _key(False, "torch.compile: a minute of start, then ~1.3 times as fast; needs a C++ compiler")
    seed: int = _key(0, "of weights, data order and noise", least=0, most=2**32 - 1)
    accumulate: int = _key(1, "parts of a batch, in turn or on several processes; more need less memory", least=1)
    tensorboard: bool = _key(False, "log to runs/MODEL/tensorboard too; needs: pip install ds2f[tensorboard]")
    decoder_size: int = _key(64, "pixels of a generated face")
    decoder_patch: int = _key(0, "pixels of a patch; 0 = an eighth of the size; half of it costs four times", least=0)
    decoder_width: int = _key(256, "channels of the decoder's transformer")
    decoder_depth: int = _key(8, "blocks of the decoder's transformer", least=1)
    decoder_batch: int = _key(128, "faces per step", least=1)
    decoder_images: int = _key(400_000, "faces to see in all", least=1)
    decoder_from: str = _key("", "folder of a model whose decoder to start from; empty = from nothing")
    decoder_lr: float = _key(1e-3, "peak learning rate of the decoder", above=0)
    decoder_likeness: float = _key(0.5, "weight of looking like the identity told, to dlib; 0 = pixels only", least=0)
    fast_steps: int = _key(4, "steps that the fast decoder draws in; with more the decoder is as good", least=1, most=8)
    fast_batch: int = _key(16, "faces per step of the fast decoder", least=1)
    fast_faces: int = _key(16_000, "faces that the decoder draws for it, in all", least=1)
    fast_lr: float = _key(3e-4, "peak learning rate of the fast decoder", above=0)
    fast_likeness: float = _key(0.05, "weight of looking like the identity told; 0 = as the decoder draws", least=0)
    voices: list[str] = _key([VOICE], "stored speaker encoders that the models hear, and acoustics")
    prior_width: int = _key(64, "channels of the prior's network; a few hundred pairs need no more", least=8)
    prior_depth: int = _key(2, "blocks of the prior's network", least=1)
    prior_batch: int = _key(128, "pairs per step", least=1)
    prior_steps: int = _key(600, "steps of the prior; a few hundred pairs are soon learnt by heart", least=1)
    prior_lr: float = _key(1e-3, "peak learning rate of the prior", above=0)
    attributes_batch: int = _key(256, "labelled faces per step", least=1)
    attributes_faces: int = _key(400_000, "labelled faces that the attribute model sees in all", least=1)
    attributes_lr: float = _key(1e-3, "peak learning rate of the attribute model", above=0)
    alignment_batch: int = _key(1024, "pairs per step; every other face of a batch is one to be told from", least=1)
    alignment_lr: float = _key(1e-3, "peak learning rate of the alignment", above=0)
    save_seconds: float = _key(120.0, "seconds between checkpoints", least=0)


@dataclass(frozen=True)
class Generate:
    """Generation. An empty model means the checkpoint that ships inside the package."""

    model: str = _key("", "folder of a model, or empty for the one that ships with ds2f")
    size: int = _key(0, "pixels of a face, of those that the model draws; 0 = as its main decoder does", least=0)
    count: int = _key(4, "faces per recording")
    seed: int = _key(0, "the same seed gives the same face on the same machine")
    sampler: str = _key("multistep", "multistep, heun (two evaluations a step) or euler")
    steps: int = _key(10, "sampler steps: more is finer and slower; 4 give a quick first look")
    guidance: float = _key(2.0, "how strictly the face follows voice and wishes; 1 = no guidance")
    guide_guidance: float = _key(1.0, "how strictly it follows a guide picture")
    fast: bool = _key(True, "the fast decoder draws, unless steps, sampler or guidance are changed")
    direct: bool = _key(False, "let the decoder hear the voice itself, without the prior")
    voice_guidance: float = _key(3.0, "how far a face departs from the average the way the voice points; 1 = barely")
    temperature: float = _key(0.4, "0 = the most typical person for a voice, 1 = the prior's whole variety")
    noise: float = _key(0.85, "scale of the noise that a picture starts from; below 1 calmer pictures")


@dataclass(frozen=True)
class Evaluate:
    """Evaluation."""

    split: str = _key("test", "split that is measured: train, val or test")
    bootstrap: int = _key(1000, "resamples of the identities for the 95 % intervals")
    spaces: list[str] = _key([], "face encoders to measure in besides dlib; empty = all that the dataset holds")
    trained_spaces: list[str] = _key(["dlib"], "face encoders that training has seen; the report says so")
    inception: str = _key("", "inception-2015-12-05.pt, of your own, for the FID; empty = no FID")
    guided_clips: int = _key(100, "clips that evaluate --guided takes at most; each is drawn 24 times")
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
    known = {part.name: part.default_factory for part in parts()}
    values: dict[str, Any] = {}
    for name, table in data.items():
        if name not in known or not isinstance(table, dict):
            raise UserError(f"{path}: unknown part [{name}]; the parts are {', '.join(known)}.")
        values[name] = _read_part(path, name, known[name](), table)  # type: ignore[operator]
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


def _read_part(path: Path, name: str, default: Any, table: dict[str, Any]) -> Any:
    keys = {f.name: f for f in fields(default)}
    for key, value in table.items():
        if key not in keys:
            raise UserError(f"{path}: unknown key {key!r} in [{name}]; the keys are {', '.join(keys)}.")
        wanted = type(getattr(default, key))
        numbers = keys[key].type == "list[float]"
        if numbers and isinstance(value, list) and value and all(type(v) in (int, float) for v in value):
            table[key] = [float(v) for v in value]
        elif numbers:
            raise UserError(f"{path}: [{name}] {key} must be a list of numbers, not {json.dumps(value, default=str)}.")
        elif wanted is float and type(value) is int:
            table[key] = float(value)
        elif type(value) is not wanted:
            raise UserError(f"{path}: [{name}] {key} must be {wanted.__name__}, not {json.dumps(value, default=str)}.")
    part = replace(default, **table)
    check(name, part)
    return part


def check(name: str, part: Any) -> None:
    """Raises UserError for a number of the part `name` that is out of its range."""
    for key in fields(part):
        value, least, most, above = (getattr(part, key.name), *(key.metadata[k] for k in ("least", "most", "above")))
        if isinstance(value, float) and not math.isfinite(value):
            wanted = "a number"
        elif above is not None and value <= above:
            wanted = f"more than {above}"
        elif most is not None and not least <= value <= most:
            wanted = f"from {least} to {most}"
        elif least is not None and value < least:
            wanted = f"at least {least}"
        else:
            continue
        raise UserError(f"[{name}] {key.name} = {value} must be {wanted}.")


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
