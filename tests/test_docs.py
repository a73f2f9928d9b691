"""What README and docs tell people to type: every command of README and quickstart is run, in their order, in a folder
such as they speak of; every command of the other pages is at least one that the command line takes."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

import ds2f
from ds2f import config
from ds2f.cli import build_parser, main
from ds2f.demo import samples
from ds2f.io.media import decode
from fake_hub import running
from helpers import write_audio

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = [ROOT / "README.md", ROOT / "docs" / "quickstart.md"]
COPIES = 4  # of every sample clip: enough people for a split and a prior

# Everything as small as it can be; the commands are what is tested. The people are copies of eight, hence the leak.
SMALL = """
[paths]
videos = ["path/to/videos"]
stills = ["lfw.tar"]
[audio]
keep_seconds = 6.0
[faces]
frames = 1
[split]
val = 0.12
test = 0.12
[train]
decoder_size = 64
decoder_width = 64
decoder_depth = 1
decoder_batch = 8
decoder_images = 8
decoder_likeness = 0.0
prior_steps = 2
[generate]
steps = 2
size = 64
[evaluate]
bootstrap = 20
allow_leak = true
"""


def commands(page: Path) -> list[str]:
    """Lines that are typed in a shell: indented by four or more, outside of fences, without their comments."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = re.findall(r"^ {4,}((?:ds2f|make|pip|python|\.) .*)$", text, re.MULTILINE)
    return [part.strip() for line in lines for part in line.partition(" #")[0].split("&&")]


def programs(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the pages speak of: talk.wav, blurred.png, path/to/videos, lfw.tar, ds2f.toml."""
    folder = tmp_path_factory.mktemp("home")
    clips = sorted(samples().glob("*.mp4"))
    videos = folder / "path" / "to" / "videos"
    videos.mkdir(parents=True)
    write_audio(folder / "talk.wav", decode(clips[0], frames=0).audio)
    (folder / "interviews").mkdir()
    write_audio(folder / "interviews" / "one.wav", decode(clips[1], frames=0).audio)
    with tarfile.open(folder / "lfw.tar", "w") as tar:
        for number, clip in enumerate(clips):
            frame = decode(clip, frames=1, sound=False).frames[0].image
            cv2.imwrite(str(folder / "frame.png"), frame[..., ::-1])
            tar.add(folder / "frame.png", f"lfw/Person_{number}/Person_{number}_0001.png")
            for copy in range(COPIES):
                # A box of its own at the end: equal files in train and test would be refused as a leak.
                box = struct.pack(">I4s", 8 + copy, b"free") + bytes(copy)
                (videos / f"{clip.stem}-{copy}.mp4").write_bytes(clip.read_bytes() + box)
    cv2.imwrite(str(folder / "blurred.png"), cv2.GaussianBlur(cv2.imread(str(folder / "frame.png")), (31, 31), 0))
    (folder / "ds2f.toml").write_text(SMALL)
    return folder


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In that folder, with a Hub of our own, on a machine of one core: more workers would only load models again."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="the extra hub is not installed")
    with running() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "cache"))
        monkeypatch.setenv("HF_TOKEN", "hf_nobody")
        monkeypatch.setattr(os, "cpu_count", lambda: 1)
        monkeypatch.chdir(home)
        yield home


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_every_command_runs(page: Path, at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("starlette", reason="the extra demo is not installed")
    typed = commands(page)
    assert len(typed) > 10
    for command in typed:
        words = shlex.split(command)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
        elif words[:2] == ["ds2f", "serve"]:
            _serve_for_a_moment(at_home)
        elif words[0] == "ds2f":
            _prepare(words, at_home)
            assert main(words[1:]) == 0, f"{command}\n{capsys.readouterr().err}"
        else:
            assert command == ". .venv/bin/activate"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("program", programs(ROOT / "docs" / "quickstart.md"))
def test_every_program_runs(program: str, home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", program], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for said in [word for word in ("gender", "pictures.shape") if word in program]:
        assert {"gender": "gender", "pictures.shape": "(1, 256, 256, 3)"}[said] in done.stdout
    assert (home / "face-1.png").exists()
    (imported,) = (p for p in programs(ROOT / "docs" / "reference.md") if "import" in p)
    exec(imported, {})


def _prepare(words: list[str], home: Path) -> None:
    """What the page takes for granted before a command."""
    if words[1] == "init":
        (home / "ds2f.toml").unlink()
    elif words[1] == "run":
        (home / "ds2f.toml").write_text(SMALL)
    elif words[1] == "evaluate" and not (home / "path/to/images").exists():
        shutil.copytree(home / "faces", home / "path/to/images")  # another method's


def _serve_for_a_moment(home: Path) -> None:
    command = [sys.executable, "-m", "ds2f", "serve", "--port", "0"]
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True, **listening)
    try:
        assert "The page is at http://127.0.0.1:" in process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_every_page_is_one(page: Path) -> None:
    """Also those inside sentences, unless they stand for a family (FOLDER ..., ds2f train prior | decoder)."""
    inline = re.findall(r"`(ds2f [a-z][^`\n]*)`", page.read_text())
    known = build_parser()._subparsers._group_actions[0].choices
    for command in [*commands(page), *inline]:
        words = shlex.split(command)
        if words[0] != "ds2f" or words[1].startswith("-"):
            continue
        assert words[1] in known, command
        options = {option for action in known[words[1]]._actions for option in action.option_strings}
        for word in words:
            assert not word.startswith("--") or word in options, command
    for command in commands(page):
        if command.startswith("ds2f ") and not re.search(r"\[|\.\.\.", command):  # these show what may be added
            assert build_parser().parse_args(shlex.split(command)[1:]).command, command


def test_every_key_of_the_docs_is_one() -> None:
    keys = {part.name: {key.name for key in fields(part.default_factory())} for part in config.parts()}
    for page in PAGES:
        for part, key in re.findall(r"`\[(\w+)\] (\w+)", page.read_text().split("| there | here |")[0]):
            assert key in keys[part], f"{page.name}: [{part}] {key}"
    rows = re.findall(r"^\|.*\| (.*) \|$", (ROOT / "docs" / "migration.md").read_text(), re.MULTILINE)
    for part, key in (pair for row in rows for pair in re.findall(r"`\[(\w+)\] (\w+)", row)):
        assert key in keys[part], f"migration.md: [{part}] {key}"


DEFAULT_OF = re.compile(r"`\[(\w+)\] (\w+)`,\s+(\S+)\s+by\s+default|`\[(\w+)\] (\w+)`\s+\((\S+?)(?: s| px)?\)")


def test_a_default_that_the_docs_state_is_the_default() -> None:
    """Written as `[part] key`, 3 by default, or `[part] key` (3)."""
    parts = {part.name: getattr(config.Config(), part.name) for part in config.parts()}
    stated = 0
    for page in PAGES:
        for found in DEFAULT_OF.findall(page.read_text()):
            part, key, said = found[:3] if found[0] else found[3:]
            if re.fullmatch(r"[\d.,]+", said):
                value = float(said.rstrip(".,").replace(",", ""))
                assert value == getattr(parts[part], key), f"{page.name}: [{part}] {key} = {said}"
                stated += 1
    assert stated > 5


def test_every_benchmark_that_is_named_is_there() -> None:
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    for page in [*PAGES, *sources]:
        for name in re.findall(r"benchmarks/(\w+\.py)", page.read_text()):
            assert (ROOT / "benchmarks" / name).exists(), f"{page.name}: benchmarks/{name}"


def test_every_word_of_the_glossary_is_where_it_says() -> None:
    """Options, keys and commands are those of the command line and ds2f.toml, all else is a name in the code."""
    table = (ROOT / "docs" / "concepts.md").read_text().partition("## Words")[2]
    rows = re.findall(r"^\| ([\w ]+) \| .* \| (`.*`) \|$", table, re.MULTILINE)
    assert len(rows) > 15
    keys = {f"[{part.name}] {key.name}" for part in config.parts() for key in fields(part.default_factory())}
    commands_known = build_parser()._subparsers._group_actions[0].choices
    options = {option for sub in commands_known.values() for action in sub._actions for option in action.option_strings}
    code = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    for word, places in rows:
        for place in re.findall(r"`([^`]+)`", places):
            if place.startswith("ds2f "):
                assert build_parser().parse_args(_complete(shlex.split(place)[1:])).command, place
            elif place.startswith(("--", "[")):
                assert place in (options if place.startswith("--") else keys), f"{word}: {place}"
            else:
                assert re.search(rf"^ *(def|class) {place}\b|^ *\"{place}\":", code, re.MULTILINE), f"{word}: {place}"


def _complete(words: list[str]) -> list[str]:
    """A command with the arguments that it cannot do without."""
    needed = {
        "match": ["talk.wav", "face.png"],
        "verify": ["trials.txt"],
        "verify-faces": ["list.txt", "--protocol", "pins", "--out", "scores"],
        "forget": ["Ada_Lovelace"],
        "export": ["--format", "parquet", "--out", "shards"],
    }
    return [*words, *needed.get(words[0], [])]


def test_every_extra_of_the_docs_is_one() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for page in [*PAGES, *(ROOT / "src").rglob("*.py")]:
        for extras in re.findall(r"ds2f\[([a-z,]+)\]", page.read_text()):
            assert set(extras.split(",")) <= set(known), page


def test_every_page_is_in_the_contents_and_every_link_leads_somewhere() -> None:
    class Loader(yaml.SafeLoader):
        """mkdocs.yml without its plugins' tags."""

    def pages(entries: list[dict[str, Any]]) -> Iterator[str]:
        for entry in entries:
            for below in entry.values():
                yield from pages(below) if isinstance(below, list) else [below]

    listed = list(pages(yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]))
    assert sorted(listed) == sorted(page.relative_to(ROOT / "docs").as_posix() for page in PAGES[1:])
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def _anchors(page: Path) -> set[str]:
    """Of its headings, as MkDocs and GitHub make them, and those that are written out."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = [re.sub(r"[^\w\s-]", "", title).strip().lower() for title in re.findall(r"^#+ +(.*)$", text, re.MULTILINE)]
    return {re.sub(r"[\s-]+", "-", title) for title in titles} | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_to_a_section_leads_to_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text("utf-8")):
        if "://" not in target and (there := page.parent / target if target else page).suffix == ".md":
            assert anchor in _anchors(there), f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_section_is_there_twice(page: Path) -> None:
    headings = re.findall(
        r"^## .*", re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE), re.M
    )
    assert len(set(headings)) == len(headings), page.name


def test_no_figure_is_still_to_be_filled_in() -> None:
    pages = [*PAGES, ROOT / "CHANGELOG.md", *(ROOT / "src").rglob("*.md")]
    for page in pages:
        left = re.findall(r"^@[A-Z0-9]+$|\bTODO\b|\bTBD\b", page.read_text("utf-8"), re.MULTILINE)
        assert not left, f"{page.name}: {left}"


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed; make docs installs it")
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed; make docs installs it")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "reference.html").read_text()
    assert "voices in, faces out" in reference
    assert np.all([name in reference for name in ("from_pretrained", "describe", "push_to_hub", "VoiceDescription")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_and_files_that_a_page_names_are_there(page: Path) -> None:
    """`ds2f.voice.encode.VoiceEncoder`, `diffusion.plain.typical_first`, `diffusion/plain.py:typical_first`, but not
    files (`dataset.db`) nor attributes (`face.image`); migration.md also names the research code."""
    text = page.read_text()
    folders = "|".join(path.parent.name for path in (ROOT / "src/ds2f").glob("*/__init__.py"))
    named = re.findall(r"`ds2f\.((?!toml)\w+(?:\.\w+)*)(?:\(.*?\))?`", text)
    for name in [*named, *re.findall(rf"`((?:{folders})\.(?!db|json|image)\w+(?:\.\w+)*)(?:\(.*?\))?`", text)]:
        found: Any = ds2f
        for depth, part in enumerate(parts := name.split("."), 1):
            there = hasattr(found, part)
            found = getattr(found, part) if there else importlib.import_module(f"ds2f.{'.'.join(parts[:depth])}")
    for file, name in re.findall(r"`((?:[\w-]+/)*[\w-]+\.py)(?::(\w+))?`", text):
        if page.name == "migration.md":
            continue
        homes = [ROOT, *(ROOT / folder for folder in ("src/ds2f", "benchmarks", "scripts", "tests"))]
        places = {path for home in homes for path in ([home / file] if home == ROOT else home.rglob(file))}
        texts = [path.read_text() for path in places if path.is_file()]
        assert texts, f"there is no {file}"
        assert any(re.search(rf"\b(?:def|class) {name}\b|^{name}\b", one, re.MULTILINE) for one in texts), (file, name)
