"""The parts of ds2f.toml and their keys: types, ranges, defaults, and the comments that `ds2f init` writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from ds2f.config.checking import Part, key
from ds2f.types import VOICE

Name = Annotated[str, Meta(min_length=1)]
Natural = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
AtLeast0 = Annotated[float, Meta(ge=0)]
Weight = Annotated[float, Meta(ge=0, le=20)]
"""Of guidance: far beyond what still gives faces."""
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
SplitName = Literal["train", "val", "test"]
Numbers = Literal["auto", "float32"]


@dataclass(frozen=True)
class Paths(Part):
    """Paths, relative to the folder of ds2f.toml."""

    videos: list[Name] = key([], "folders of videos that `ds2f run` ingests")
    stills: list[Name] = key([], "folders or uncompressed tars of still faces that `ds2f run` ingests")
    voices: list[Name] = key([], "folders of audio files, or manifests, that `ds2f run` ingests")
    people: list[Name] = key([], "tables of who is who in several corpora, see docs/data.md")
    database: Name = key("dataset.db", "the dataset: one SQLite file")
    runs: Name = key("runs", "checkpoints and logs of training")
    faces: Name = key("faces", "generated faces of `ds2f run`")
    report: Name = key("report", "the report of `ds2f run`")


@dataclass(frozen=True)
class Audio(Part):
    """Voices."""

    clip_seconds: Annotated[list[Annotated[float, Meta(ge=0.1)]], Meta(min_length=1)] = key(
        [6.0], "lengths of voice clips in seconds; shorter speech is looped"
    )
    encoders: list[Name] = key([VOICE], "speaker encoders; docs/data.md lists all of them")
    languages: list[Name] = key([], "spoken language identification models, such as speechbrain:FOLDER")
    acoustics: bool = key(False, "measure pitch, formants, rate and more; needs: pip install ds2f[acoustics]")
    min_speech: AtLeast0 = key(1.0, "seconds of speech below which a recording is rejected")
    max_seconds: Positive = key(60.0, "seconds processed at a time: the start, and more if it has too little speech")
    precision: Numbers = key(
        "auto", "of CAM++ on many recordings: auto = bfloat16 where the CPU supports it; or float32"
    )
    keep_seconds: Positive = key(24.0, "seconds of speech to store, for other clip lengths and encoders later")
    store: Literal["flac", "opus"] = key("flac", "how speech is stored: flac, lossless, or opus, in half the space")
    stream: Natural = key(0, "which audio track of a file, counted from 1; 0 = the one that a player plays")
    channel: Natural = key(0, "which of its channels, such as one side of a call, counted from 1; 0 = all")

    def _wrong_together(self) -> str:
        usable = self.min_speech <= self.max_seconds
        return "" if usable else f"min_speech = {self.min_speech} must be at most max_seconds = {self.max_seconds}"


@dataclass(frozen=True)
class Faces(Part):
    """Faces."""

    detector: Name = key("mtcnn", "face detector")
    encoders: list[Name] = key([], "identity encoders besides dlib, such as uniface:arcface")
    attributes: list[Name] = key(["ds2f-attributes"], "models of age, gender and ethnicity, such as onnx:FILE")
    stream: Natural = key(0, "which video track of a file, counted from 1; 0 = the one that a player shows")
    frames: Count = key(5, "frames searched per video, evenly spaced")
    crop_size: Annotated[int, Meta(ge=16)] = key(128, "pixels of the aligned crop that is stored")
    min_score: Share = key(0.0, "detector score below which a face is ignored; 0 = the detector's own default")
    min_eye_distance: AtLeast0 = key(
        12.0, "pixels between the eyes below which a face is too small, in stills after enlargement to 256 px"
    )
    box_crop: Natural = key(0, "pixels of a second crop, the detector's box with margins; 0 = none")
    box_margin_height: AtLeast0 = key(0.4, "added to the height of the box, half on either side")
    box_margin_width: AtLeast0 = key(0.5, "added to its width")


@dataclass(frozen=True)
class Extract(Part):
    """How extraction runs."""

    engine: Literal["local", "ray"] = key("local", "local processes, or ray: a cluster")
    ray_address: str = key("", "address of a running Ray cluster; empty starts one on this machine")
    device: str = key("auto", "device of the encoders: auto, cpu, cuda, mps")
    batch: Count = key(8, "files per worker at once; its encoders process them in one batch")
    item_seconds: Positive = key(120.0, "time limit per file; a file that takes longer fails")


@dataclass(frozen=True)
class Split(Part):
    """Identities are split into train, val and test; fixed by the first ingest into a database."""

    seed: int = key(0, "another seed, another split")
    val: Share = key(0.1, "share of the identities for validation during training")
    test: Share = key(0.1, "share of the identities for evaluation only; the rest is train")

    def _wrong_together(self) -> str:
        both = self.val + self.test
        return "" if both < 1 + 1e-9 else f"val = {self.val} and test = {self.test} must be at most 1 together"


@dataclass(frozen=True)
class Train(Part):
    """Training."""

    models: list[
        Literal["prior", "decoder", "fast-decoder", "super-resolution", "attributes", "alignment", "voice"]
    ] = key(["prior", "decoder"], "what `ds2f run` trains; [] uses a trained model as it is")
    device: str = key("auto", "auto, cpu, cuda, mps")
    compile: bool = key(False, "torch.compile: a minute to start, then ~1.3 times as fast; needs a C++ compiler")
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = key(0, "seed of weights, data order and noise")
    shards: list[Name] = key([], "folders of `ds2f export`, copied to every node, instead of the database", path=True)
    memory_gb: AtLeast0 = key(1.0, "GB of faces, or of pairs, that a process holds in memory; more are kept in files")
    packed: str = key("", "folder of such files, on a local disk of the node; empty = packed in paths.runs", path=True)
    accumulate: Count = key(1, "parts of a batch, in turn or on several processes; more parts need less memory")
    tensorboard: bool = key(False, "log to runs/MODEL/tensorboard too; needs: pip install ds2f[tensorboard]")
    decoder_size: Annotated[int, Meta(ge=16, le=256, multiple_of=8)] = key(64, "pixels of a generated face")
    decoder_patch: Natural = key(0, "pixels of a patch; 0 = an eighth of the size; half as many cost 4 times")
    decoder_width: Annotated[int, Meta(ge=64, multiple_of=64)] = key(256, "channels of the decoder's transformer")
    decoder_depth: Count = key(8, "blocks of the decoder's transformer")
    decoder_batch: Count = key(128, "faces per step")
    decoder_images: Count = key(400_000, "faces to train on in total")
    decoder_from: str = key("", "folder of a model whose decoder to start from; empty = from scratch", path=True)
    decoder_lr: Positive = key(1e-3, "peak learning rate of the decoder")
    decoder_likeness: AtLeast0 = key(0.5, "weight of the likeness loss; 0 = pixels only")
    likeness_judges: list[Name] = key(
        [], "recognisers for it besides dlib, as onnx:FILE; needs: pip install ds2f[judges]", path=True
    )
    likeness_views: list[Literal["shift", "mirror", "scale", "noise"]] = key(
        ["shift", "mirror"], "random changes to the faces they see: shift, mirror, scale, noise"
    )
    fast_steps: Annotated[int, Meta(ge=1, le=8)] = key(
        4, "steps of the fast decoder; with more, the decoder itself is as good"
    )
    fast_from: str = key(
        "", "folder of a model whose fast decoder to start from, with its decoder; empty = as the teacher", path=True
    )
    fast_frozen: list[Name] = key(
        [], "parts of the fast decoder that stay the decoder's, such as blocks.1; stored once"
    )
    fast_batch: Count = key(16, "faces per step of the fast decoder")
    fast_faces: Count = key(16_000, "faces that the decoder draws for it, in total")
    fast_lr: Positive = key(3e-4, "peak learning rate of the fast decoder")
    fast_likeness: AtLeast0 = key(0.05, "weight of its likeness loss; 0 = only as the decoder draws")
    sr_factor: Annotated[int, Meta(ge=1, le=2)] = key(2, "size of finished pictures relative to the decoder's: 2 or 1")
    sr_from: str = key("", "folder of a model whose super-resolution to start from; empty = from scratch", path=True)
    sr_batch: Count = key(4, "photographs per step of super-resolution")
    sr_faces: Count = key(15_200, "photographs to train it on in total")
    sr_lr: Positive = key(3e-4, "peak learning rate of super-resolution and of its discriminator")
    sr_adversarial: AtLeast0 = key(0.1, "weight of the adversarial loss; 0, and sr_features 0 = smooth")
    sr_features: AtLeast0 = key(0.1, "weight of matching the photograph in the discriminator's features")
    sr_strength: Share = key(0.7, "share of the learnt detail that is added in use; less is smoother")
    voices: Annotated[list[Name], Meta(min_length=1)] = key(
        [VOICE], "stored speaker encoders that are the models' input, and acoustics"
    )
    people: Literal["clips", "alike"] = key(
        "clips", "prior, alignment, voice: weight of a person: by number of clips, or all alike"
    )
    prior_width: Annotated[int, Meta(ge=8)] = key(
        64, "channels of the prior's network; a few hundred pairs need no more"
    )
    prior_depth: Count = key(2, "blocks of the prior's network")
    prior_batch: Count = key(128, "pairs per step")
    prior_steps: Count = key(600, "steps of the prior; it soon overfits a few hundred pairs")
    prior_lr: Positive = key(1e-3, "peak learning rate of the prior")
    attributes_batch: Count = key(256, "labelled faces per step")
    attributes_faces: Count = key(400_000, "labelled faces to train the attribute model on in total")
    attributes_lr: Positive = key(1e-3, "peak learning rate of the attribute model")
    alignment_batch: Count = key(1024, "pairs per step; the other faces of a batch are the negatives")
    alignment_lr: Positive = key(1e-3, "peak learning rate of the alignment")
    voice_network: Literal["resnetse34l", "resnetse34v2", "ecapa-tdnn", "campplus"] = key(
        "ecapa-tdnn", "network of a speaker encoder: resnetse34l, resnetse34v2, ecapa-tdnn or campplus"
    )
    voice_width: Natural = key(0, "its channels; 0 = as published")
    voice_from: str = key(
        "", "campplus, or folder of a speaker encoder, to start from; empty = from scratch", path=True
    )
    voice_frozen: list[Name] = key([], "parts of its network to freeze, such as head, blocks.0")
    voice_loss: Literal["softmax", "am-softmax", "aam-softmax", "prototypical", "angular-prototypical", "ge2e"] = key(
        "aam-softmax", "softmax, am-softmax, aam-softmax, prototypical, angular-prototypical or ge2e"
    )
    voice_share: AtLeast0 = key(1.0, "weight of that loss")
    voice_keep: AtLeast0 = key(0.0, "weight of embedding a poor recording as voice_teacher embeds the clean one")
    voice_teacher: str = key("", "campplus, or a model's folder; empty: the encoder of voice_from", path=True)
    voice_margin: AtLeast0 = key(
        0.2, "margin of am-softmax, in radians for aam-softmax; 0.5 to fine-tune on long crops"
    )
    voice_scale: Positive = key(30.0, "scale of their cosines")
    voice_centres: Count = key(1, "sub-centres per speaker, against label noise")
    voice_batch: Annotated[int, Meta(ge=2)] = key(32, "speakers per step")
    voice_each: Count = key(2, "recordings per speaker in a step; at least two for losses without classes")
    voice_seconds: Annotated[float, Meta(ge=0.3)] = key(2.0, "seconds of speech per crop of a recording")
    voice_utterances: Count = key(1_000_000, "crops to train on in total")
    voice_lr: Positive = key(1e-3, "peak learning rate of the speaker encoder")
    voice_augment: Share = key(0.6, "share of the crops with reverberation, noise, music or babble added")
    voice_codecs: Share = key(0.3, "share of the crops passed through a telephone, Opus or AAC codec")
    voice_speed: bool = key(True, "crops at 0.9 and 1.1 times their speed, as additional speakers")
    voice_noises: str = key("", "folder of MUSAN; empty = synthetic noise and music, babble of others", path=True)
    voice_rooms: str = key("", "folder of RIRS_NOISES; empty = synthetic rooms", path=True)
    voice_memory: AtLeast0 = key(8.0, "GB of decoded speech to cache; beyond that, it is decoded as needed")
    save_seconds: AtLeast0 = key(120.0, "seconds between checkpoints")

    def _wrong_together(self) -> str:
        size, patch = self.decoder_size, self.decoder_patch
        if patch and size % patch:
            return f"decoder_patch = {patch} must divide decoder_size = {size}, or be 0"
        if self.voice_each < 2 and not self.voice_loss.endswith("softmax"):
            return f'voice_loss = "{self.voice_loss}" compares recordings: voice_each must be at least 2'
        if self.voice_teacher and not self.voice_keep:
            return f'voice_teacher = "{self.voice_teacher}" has no effect: set voice_keep'
        return ""


@dataclass(frozen=True)
class Generate(Part):
    """Generation. An empty model means the checkpoint that ships inside the package."""

    model: str = key("", "folder of a model, or empty for the one that ships with ds2f")
    size: Natural = key(0, "pixels of a face, one of the model's sizes; 0 = its default")
    count: Count = key(4, "faces per recording")
    seed: int = key(0, "any whole number; the same one gives the same face on the same machine")
    sampler: Literal["multistep", "heun", "euler"] = key(
        "multistep", "multistep, heun (two evaluations per step) or euler"
    )
    steps: Count = key(10, "sampler steps: more is finer and slower; 4 give a quick first look")
    guidance: Weight = key(2.0, "how strictly the face follows voice and wishes; 1 = no guidance")
    guide_guidance: Weight = key(1.0, "how strictly it follows a guide picture")
    fast: bool = key(True, "draw with the fast decoder, unless steps, sampler or guidance are changed")
    precision: Numbers = key(
        "auto", "of drawing: auto = by the model's graph, if it has one, in 8 bits; float32 = by PyTorch"
    )
    direct: bool = key(False, "condition the decoder on the voice itself, bypassing the prior")
    voice_guidance: Weight = key(1.8, "how far a face departs from the average towards the voice; 1 = barely")
    temperature: Share = key(
        1.0, "0 = only the most typical person for a voice, 1 = all variety that guidance leaves room for"
    )
    upscale: Literal[1, 2, 4] = key(
        1, "pictures 2 or 4 times as large, by Real-ESRGAN; needs: pip install ds2f[upscale]"
    )
    format: Literal["png", "webp", "jpeg"] = key("png", "format of the pictures: png, webp or jpeg")
    noise: Share = key(0.85, "scale of the noise that a picture starts from; below 1, pictures are calmer")
    light: Share = key(0.5, "how much light and tint vary from seed to seed; 1 = as much as in photographs")
    watermark: bool = key(True, "an invisible mark that `ds2f check` finds; false: unmarked pixels")
    sign: bool = key(True, "signed Content Credentials (C2PA); needs: pip install ds2f[c2pa]")
    certificate: str = key("", "PEM file of the certificate to sign with and its intermediates; empty = self-signed")
    certificate_key: str = key("", "PEM file of its private key, without a password")

    def _wrong_together(self) -> str:
        both = bool(self.certificate) == bool(self.certificate_key)
        return "" if both else "certificate and certificate_key belong together: give both, or neither"


@dataclass(frozen=True)
class Evaluate(Part):
    """Evaluation."""

    split: SplitName = key("test", "split to measure: train, val or test")
    bootstrap: Count = key(1000, "bootstrap resamples of the identities for the 95 % intervals")
    spaces: list[Name] = key([], "face encoders to measure in besides dlib; empty = [faces] encoders, or all available")
    trained_spaces: list[Name] = key(["dlib"], "face encoders that training has seen; the report says so")
    attributes: list[Name] = key([], "models that judge age, gender and ethnicity; empty = [faces] attributes")
    trained_attributes: list[Name] = key(["ds2f-attributes"], "those seen by training or steering; the report says so")
    inception: str = key("", "your own inception-2015-12-05.pt, for the FID; empty = no FID")
    vggface: str = key("", "your own TorchScript of VGGFace2's ResNet-50 with its classes, for SF2F's VGGFace score")
    guided_clips: Count = key(100, "maximum number of clips for evaluate --guided; each is drawn 24 times")
    allow_leak: bool = key(False, "measure although test and train overlap; the report says so")


@dataclass(frozen=True)
class Serve(Part):
    """The page and the HTTP API of `ds2f serve`; docs/api.md."""

    hosts: list[Name] = key([], "host names under which clients may reach the server, such as a proxy's; * = any")
    places: Count = key(64, "requests in progress or waiting, of all clients together")
    client_places: Count = key(32, "requests of one client, identified by its address")
    upload_mb: Positive = key(32.0, "maximum megabytes of a request, which holds a recording or a picture")
    memory_mb: Positive = key(256.0, "maximum megabytes of all requests in memory together")
    upload_seconds: Positive = key(60.0, "seconds that a request may take to arrive")
    max_seconds: Positive = key(60.0, "seconds of a recording to process, if [audio] max_seconds is more")
    job_seconds: AtLeast0 = key(120.0, "seconds that a drawing may take")
    count: Count = key(8, "maximum number of faces per voice")
    steps: Count = key(50, "maximum number of sampler steps")
    guide_px: Count = key(2048, "a guide picture that is wider or higher is scaled down to this")


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
    serve: Serve = field(default_factory=Serve)
    folder: Path = Path()

    def path(self, value: str) -> Path:
        """A path of the configuration, relative to the folder of ds2f.toml."""
        return self.folder / Path(value).expanduser()
