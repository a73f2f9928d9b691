"""Face models by the names used in ds2f.toml: "mtcnn", "dlib", "ds2f-attributes", "uniface:arcface", ...

A name marks the dataset rows of its model. Nothing is imported or loaded before a model is requested.
"""

from __future__ import annotations

from pathlib import Path

from ds2f.errors import UserError
from ds2f.face import deepface_models, file_network, uniface_models
from ds2f.face.base import AttributeModel, FaceDetector, FaceEmbedder

DETECTORS = ("mtcnn", *(f"uniface:{name}" for name in uniface_models.DETECTORS))
EMBEDDERS = (
    "dlib",
    *(f"uniface:{name}" for name in uniface_models.EMBEDDERS),
    *(f"deepface:{name}" for name in deepface_models.EMBEDDERS),
)
ATTRIBUTES = ("ds2f-attributes", *(f"uniface:{name}" for name in uniface_models.ATTRIBUTES), "deepface")

FILES = tuple(f"{kind}:FILE" for kind in file_network.KINDS)  # networks in the user's files

_OWN = "ds2f-attributes:"  # followed by a folder: a model that the user trained with `ds2f train attributes`


def name_of(spec: str) -> str:
    """The `name` of the model that `spec` denotes, without loading it. Raises UserError for an unknown one."""
    if file_network.is_file(spec):
        return file_network.name_of(spec)
    if not spec.startswith(_OWN):
        _check(spec, "face model", (*DETECTORS, *EMBEDDERS, *FILES, *ATTRIBUTES))
    return spec


def load_detector(spec: str, min_score: float | None = None) -> FaceDetector:
    """min_score: below which a face does not count, on the detector's own scale; None: its default.

    Raises UserError for an unknown name, a missing package, or weights that are unavailable.
    """
    _check(spec, "face detector", DETECTORS)
    if spec != "mtcnn":
        return uniface_models.UnifaceDetector(spec.removeprefix("uniface:"), 0.5 if min_score is None else min_score)
    from ds2f.face.mtcnn import MTCNN

    return MTCNN() if min_score is None else MTCNN(min_score)


def load_embedder(spec: str, device: str = "cpu") -> FaceEmbedder:
    """device: of dlib's network; the others choose their own. Raises UserError as `load_detector`."""
    if file_network.is_file(spec):
        from ds2f.face.file_embedder import FileEmbedder

        return FileEmbedder(spec)
    _check(spec, "face embedder", (*EMBEDDERS, *FILES))
    library, _, model = spec.partition(":")
    if library == "uniface":
        return uniface_models.UnifaceEmbedder(model)
    if library == "deepface":
        return deepface_models.DeepFaceEmbedder(model)
    from ds2f.face.dlib_resnet import DlibResNet

    return DlibResNet(device)


def reads_identities(spec: str) -> bool:
    """Whether an attribute model uses identity vectors only, and no picture."""
    return spec == "ds2f-attributes" or spec.startswith(_OWN)


def load_attributes(spec: str) -> AttributeModel:
    """Raises UserError as `load_detector` does. "ds2f-attributes:FOLDER" is a model made by `ds2f train attributes`."""
    if file_network.is_file(spec):
        from ds2f.face.file_attributes import FileAttributes

        return FileAttributes(spec)
    own = spec.startswith(_OWN)
    if not own:
        _check(spec, "attribute model", (*ATTRIBUTES, *FILES))
    if spec == "uniface:fairface":
        return uniface_models.FairFace()
    if spec == "uniface:agegender":
        return uniface_models.AgeGender()
    if spec == "deepface":
        return deepface_models.DeepFaceAttributes()
    from ds2f.face.attributes import IdentityAttributes

    return IdentityAttributes(Path(spec.removeprefix(_OWN)) if own else None)


def _check(spec: str, what: str, known: tuple[str, ...]) -> None:
    if spec not in known:
        raise UserError(f"There is no {what} {spec!r}; choose one of {', '.join(known)}.")
