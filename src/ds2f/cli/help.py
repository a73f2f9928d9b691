"""`ds2f help`: sections of the documentation in the terminal, by topic; the pages are installed with the package."""

from __future__ import annotations

import argparse
import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import ds2f

PACKAGE = Path(ds2f.__file__).parent
WIDEST = 100  # columns; longer lines are hard to read


@dataclass(frozen=True)
class Topic:
    """A help topic. text: what it is about; page: in docs/; sections: its headings, "": the text before the first
    heading."""

    text: str
    page: str
    sections: tuple[str, ...]


TOPICS = {
    "start": Topic("installation, and a first face for a voice", "quickstart", ("", "A face for a voice")),
    "python": Topic("the same from a script or a notebook", "quickstart", ("From Python",)),
    "voices": Topic(
        "how a voice becomes a face, and how little of a face is in the voice",
        "concepts",
        ("Voice → identity → face", "What a voice determines, and what it does not", "Age and gender of a voice"),
    ),
    "wishes": Topic("an age, a gender, a blurred picture to complete", "concepts", ("Wishes", "Guide pictures")),
    "words": Topic("what voice, clip, identity and other terms mean here", "concepts", ("Words",)),
    "corpora": Topic("corpora that are recognised, and how to get them", "data", ("Corpora", "Layouts")),
    "people": Topic(
        "who is who: one person in several corpora, tables", "data", ("One person in several corpora", "Tables")
    ),
    "recordings": Topic("several streams or channels, long recordings", "data", ("How recordings are taken",)),
    "dataset": Topic("what is in the file, and what failed", "data", ("", "Failures")),
    "questions": Topic("ten things to ask the dataset in SQL", "data", ("Ten questions",)),
    "config": Topic("what changing a key redoes; all keys: ds2f init", "data", ("Settings, and what they make anew",)),
    "shards": Topic("shards, tables and manifests for other tools", "data", ("Export",)),
    "training": Topic(
        "a prior and a decoder of your own", "training", ("", "Before it starts", "Pairs by person", "Recipes")
    ),
    "machines": Topic(
        "several machines, a cluster, a queue", "scaling", ("One machine", "A cluster with Ray", "A batch queue")
    ),
    "measuring": Topic(
        "who is measured, how, and against what", "evaluation", ("", "Who is measured", "Identity", "Intervals")
    ),
    "api": Topic("the page as an HTTP API", "api", ("", "A face for a recording", "Errors")),
    "model": Topic("what the model that ships with ds2f is, and is not for", "model-card", ("*",)),
    "responsible-use": Topic(
        "what the pictures are not, and who may be harmed",
        "responsible-use",
        ("What the pictures are not", "Who may be hurt, and by which error"),
    ),
    "privacy": Topic(
        "consent, and how a person is removed", "responsible-use", ("Consent and data", "Forgetting a person")
    ),
    "marking": Topic("how pictures are marked as generated", "responsible-use", ("Marking",)),
    "migration": Topic("for users of the research code", "migration", ("*",)),
}
"""In the order in which a user needs them. "*": the whole page."""


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("topic", nargs="?", metavar="TOPIC", help="one of the topics below, or a command")
    width = max(map(len, TOPICS)) + 2
    sub.formatter_class = argparse.RawDescriptionHelpFormatter  # keeps one topic per line
    sub.epilog = "topics:\n" + "\n".join(f"  {name:<{width}}{topic.text}" for name, topic in TOPICS.items())


def run(options: argparse.Namespace) -> int:
    """Returns 2 for an unknown topic."""
    name = options.topic
    if name is None:
        options.parser.print_help()
    elif name in TOPICS:
        _show(text_of(TOPICS[name]))
    else:
        from ds2f.cli.parser import COMMANDS, build_parser

        if name in COMMANDS:
            build_parser([name]).parse_args([name, "--help"])
        like = difflib.get_close_matches(name, [*TOPICS, *COMMANDS], 1)
        options.parser.error(f"there is no topic {name!r}{f', perhaps {like[0]}' if like else ''}")
    return 0


def text_of(topic: Topic) -> str:
    """The topic's sections as Markdown, without pictures and comments. Raises KeyError if the page lacks a section."""
    text = re.sub(r"^!\[.*?\]\(.*?\)\n|^\*Left column.*?\*\n|<!--.*?-->", "", _page(topic.page), flags=re.M | re.S)
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)  # a card's tags
    parts = re.split(r"^##? +(.*)\n", _hidden(text), flags=re.M)
    _, title, start = parts[:3]
    sections = {"": start, **dict(zip(parts[3::2], parts[4::2], strict=True))}
    if topic.sections == ("*",):
        return text
    shown = [start if name == "" else f"## {name}\n{sections[name]}" for name in topic.sections]
    return f"# {title}\n" + "".join(shown).replace(FENCED, "#")


FENCED = "\0"  # stands for the # of comments in code blocks, which are not headings


def _hidden(text: str) -> str:
    return re.sub(r"^```.*?^```", lambda block: block[0].replace("#", FENCED), text, flags=re.M | re.S)


def _page(name: str) -> str:
    """The page from the package or, when running from a repository checkout, from docs/."""
    if name == "model-card":
        return (PACKAGE / "weights" / "MODEL_CARD.md").read_text("utf-8")
    installed = PACKAGE / "docs" / f"{name}.md"
    page = installed if installed.is_file() else PACKAGE.parents[1] / "docs" / f"{name}.md"
    return page.read_text("utf-8")


def _show(text: str) -> None:
    from rich.markdown import Markdown

    from ds2f.cli.console import out

    out.print(Markdown(text, code_theme="ansi_dark"), soft_wrap=False, width=min(out.width, WIDEST))
