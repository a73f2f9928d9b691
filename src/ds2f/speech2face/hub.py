"""Models as portable folders: saved with a card, uploaded to the Hugging Face Hub, loaded from there or from its cache.

Only the files named below are ever fetched, all of them safetensors, JSON or text: no code comes with a model.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional

NEEDED = ("decoder.json", "decoder.safetensors", "prior.json", "prior.safetensors")
FAST, SUPER_RESOLUTION, ATTRIBUTES, ALIGNMENT = (
    tuple(f"{kind}.{part}" for part in ("json", "safetensors", "onnx"))
    for kind in ("fast-decoder", "super-resolution", "attributes", "alignment")
)
OPTIONAL = ("prior.onnx", *FAST, *SUPER_RESOLUTION, *ATTRIBUTES, *ALIGNMENT, "MODEL_CARD.md", "LICENSE")
OF_A_SIZE = ("decoder.json", "decoder.safetensors", *FAST, *SUPER_RESOLUTION)
"""In a subfolder named by its size in pixels, for a model with decoders of several sizes."""
OTHER_SIZES = tuple(f"[0-9]*/{name}" for name in OF_A_SIZE)  # as patterns
WRITTEN = ("metrics.json", "README.md")  # written by `save` beside the model
LICENCE = """The weights in this repository may be used as the data that they were trained on may be, see README.md.
For the usual corpora of voices and faces this means: for research, not for commerce, and not to identify anybody.
They come as they are, without warranty of any kind.
"""
LONGEST = 300  # characters shown of a message from the Hub
TRANSPORTS = ("httpx", "httpx2", "requests")  # HTTP libraries that huggingface_hub uses, depending on its version
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def resolve(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model: `name` itself if it is a folder, otherwise the Hub's model with that id.

    A cached model is used as it is and no server is contacted, so it works without a network and does not change from
    one day to the next; a `revision` that is not cached is fetched. Set HF_HOME to use another cache. Raises UserError
    if there is neither such a folder nor such a model, or the server cannot be reached.
    """
    if Path(name).is_dir():
        if revision is not None:
            raise UserError(f"{name} is a folder; a revision is for models of the Hub.")
        return Path(name)
    if not HUB_ID.fullmatch(str(name)):
        raise UserError(
            f"There is no model folder {name}; give another one, an id on the Hub such as owner/name, "
            "or none for the model that ships with ds2f."
        )
    library = optional("huggingface_hub", "hub", f"The model {name}, which is not a local folder,")
    files = [*NEEDED, *OPTIONAL, *WRITTEN, *OTHER_SIZES]
    wanted = {"repo_id": str(name), "revision": revision, "allow_patterns": files}
    cached = _cached(library, wanted)
    if cached is not None:
        return cached
    folder = Path(_asked(library, f"The model {name}", lambda: library.snapshot_download(**wanted)))
    if missing := [file for file in NEEDED if not (folder / file).is_file()]:
        raise UserError(f"The model {name} of the Hub has no {missing[0]}; it was not made by ds2f.")
    return folder


def save(model: Path, folder: Path, metrics: Path | None = None) -> None:
    """Copy the model in `model` to `folder`, with README.md, a card written from what is known about it, and LICENSE,
    the model's own or the default for ds2f models.

    metrics: the metrics.json of an evaluation, copied without anything about single people, see `card.published`; None
        keeps the one beside the model, if there is one. Raises UserError if a file cannot be read or written.
    """
    from ds2f.io.files import write_json
    from ds2f.speech2face.card import published, read_metrics, write_card

    if missing := [name for name in NEEDED if not (model / name).is_file()]:
        raise UserError(f"{model} has no {missing[0]}; give a model folder, as ds2f train prior and decoder write it.")
    if folder.resolve() in model.resolve().parents:
        raise UserError(
            f"{folder} holds the model {model} itself, which would be taken for a part of it; give another."
        )
    reported = model / "metrics.json"
    metrics = metrics or (reported if reported.is_file() else None)
    measured = None if metrics is None else published(read_metrics(metrics))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if model.resolve() != folder.resolve():
            own = {name for name in (*NEEDED, *OPTIONAL, *_of_other_sizes(model)) if (model / name).exists()}
            # A folder with a prior is a model of its own, whatever it is called.
            places = [place for place in folder.glob("[0-9]*") if not (place / "prior.json").exists()]
            sizes = [f"{place.name}/{name}" for place in places if place.name.isdecimal() for name in OF_A_SIZE]
            for name in {*OPTIONAL, *sizes, "metrics.json"} - own:  # of a model that lay there before
                (folder / name).unlink(missing_ok=True)
            for name in sorted(own):
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(model / name, folder / name)
        if measured is not None:
            write_json(folder / "metrics.json", measured)
        if not (folder / "LICENSE").exists():  # the Hub requires one with a card that says `license: other`
            (folder / "LICENSE").write_text(LICENCE, "utf-8")
    except OSError as error:
        raise UserError(f"The model cannot be saved: {error.filename or folder}: {error.strerror}.") from None
    write_card(folder)


def push(
    model: Path,
    repo: str,
    metrics: Path | None = None,
    revision: str | None = None,
    public: bool = False,
) -> str:
    """Upload a model with its card, using the token of `hf auth login` or HF_TOKEN. Returns the URL of the commit.

    model: its folder.
    repo: "owner/name", created if missing.
    metrics: metrics.json of an evaluation, see `save`.
    revision: branch to commit to, created if missing. None: main.
    public: False makes a new repository private.
    Raises UserError if the server cannot be reached, or refuses.
    """
    if not HUB_ID.fullmatch(repo):
        raise UserError(f"{repo!r} is not an id on the Hub; give owner/name.")
    library = optional("huggingface_hub", "hub", "Sending a model to the Hub")
    api = library.HfApi()
    with tempfile.TemporaryDirectory(prefix="ds2f-push-") as temporary:
        folder = Path(temporary) / "model"
        save(model, folder, metrics)

        def send() -> Any:
            api.create_repo(repo, private=not public, exist_ok=True)
            if revision is not None:
                api.create_branch(repo, branch=revision, exist_ok=True)
            return api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                revision=revision,
                commit_message="Model by ds2f",
                # Of a model that lay there before; what is uploaded stays.
                delete_patterns=[*OPTIONAL, "metrics.json", *OTHER_SIZES],
            )

        return str(_asked(library, f"Sending the model to {repo}", send).commit_url)


def _of_other_sizes(model: Path) -> list[str]:
    """Files of its further decoders, as paths relative to the model folder."""
    from ds2f.models.folders import decoders

    return [f"{place.name}/{name}" for place in decoders(model).values() if place != model for name in OF_A_SIZE]


def _cached(library: Any, wanted: dict[str, Any]) -> Path | None:
    try:
        folder = Path(library.snapshot_download(**wanted, local_files_only=True))
    except library.errors.LocalEntryNotFoundError:
        return None
    return folder if all((folder / name).is_file() for name in NEEDED) else None


def _asked(library: Any, what: str, ask: Any) -> Any:
    """The Hub's answer; whatever the Hub or the network refuses becomes a UserError with one sentence."""
    try:
        return ask()
    except Exception as error:
        reason = _reason(library.errors, error)
        if reason is None:
            raise
    raise UserError(f"{what} failed: {reason}.") from None


def _reason(errors: Any, error: Any) -> str | None:
    """Why the Hub gave no answer, in its own words if there are any; None if neither it nor the network is at fault."""
    if isinstance(error, errors.LocalEntryNotFoundError):
        said = error.__cause__ and _reason(errors, error.__cause__)  # what the server replied, if anything
        return f"it is not in the cache, and {said or 'the Hub cannot be reached; check the network'}"
    if isinstance(error, errors.HfHubHTTPError):
        words = " ".join((getattr(error, "server_message", None) or "").split()).rstrip(".")
        return _status(errors, error) + (f"; it says: {words[:LONGEST]}" if words else "")
    if isinstance(error, (errors.HFValidationError, OSError)):
        return first_line(error)
    if isinstance(error, json.JSONDecodeError):
        return "the Hub, or a proxy in between, gave an invalid answer; try again later"
    if isinstance(error, ValueError):
        lines = [line.strip("- ") for line in str(error).splitlines() if line.strip("- ")]
        card = str(error).startswith("Invalid metadata in README.md")  # how the library words a rejected card
        what = "the Hub rejects its card" if card else "the Hub's answer cannot be understood"
        return f"{what}: {'; '.join(lines)[:LONGEST].rstrip('.')}"
    if type(error).__module__.partition(".")[0] in TRANSPORTS:
        return f"the Hub cannot be reached ({first_line(error)}); check the network"
    return None


def _status(errors: Any, error: Any) -> str:
    if isinstance(error, errors.GatedRepoError):
        return "its owner grants access on the Hub's page; then: hf auth login"
    if isinstance(error, errors.RevisionNotFoundError):
        return "there is no such revision"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "the Hub has no such model, or it is private; then: hf auth login"
    status = 0 if error.response is None else int(error.response.status_code)
    hints = {
        401: "log in with: hf auth login",
        403: "log in with a token that has the right: hf auth login",
        409: "the name is taken, or somebody else has just written; try another one, or again",
        429: "try again later",
    }
    hint = hints.get(status, "try again later" if status >= 500 else "")
    return f"the Hub answered with status {status or 'none'}" + (f"; {hint}" if hint else "")
