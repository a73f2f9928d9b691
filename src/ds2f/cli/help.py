"""`ds2f help`: sections of the documentation in the terminal, by topic; the pages travel with the package."""

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
    """text: what it is about; page: in docs/; sections: its headings, "": what stands before the first of them."""

    text: str
    page: str
    sections: tuple[str, ...]


TOPICS = {
    "start": Topic("install it, and a face for a voice", "quickstart", ("", "A face for a voice")),
    "python": Topic("the same from a script or a notebook", "quickstart", ("From Python",)),
    "voices": Topic(
        "how a voice becomes a face, and how little of it is in the voice",
        "concepts",
        ("Voice → identity → face", "What a voice determines, and what it does not", "Age and gender of a voice"),
    ),
    "wishes": Topic("an age, a gender, a blurred picture to complete", "concepts", ("Wishes", "Guide pictures")),
    "words": Topic("what voice, clip, identity and the others mean here", "concepts", ("Words",)),
    "corpora": Topic("corpora that are recognised, and how they are got", "data", ("Corpora", "Layouts")),
    "people": Topic(
        "who is who: one person in several corpora, tables", "data", ("One person in several corpora", "Tables")
    ),
    "recordings": Topic("of several streams and channels, long ones", "data", ("How recordings are taken",)),
    "dataset": Topic("what is in the file, and what failed", "data", ("", "Failures")),
    "questions": Topic("ten things to ask the dataset in SQL", "data", ("Ten questions",)),
    "config": Topic("which keys make what anew; all keys: ds2f init", "data", ("Settings, and what they make anew",)),
    "shards": Topic("shards, tables and manifests for others", "data", ("Export",)),
    "training": Topic(
        "a prior and a decoder of your own", "training", ("", "Before it starts", "Pairs by person", "Recipes")
    ),
    "machines": Topic(
        "several machines, a cluster, a queue", "scaling", ("One machine", "A cluster with Ray", "A batch queue")
    ),
    "measuring": Topic(
        "who is measured, by what, beside what", "evaluation", ("", "Who is measured", "Identity", "Intervals")
    ),
    "api": Topic("the page as an HTTP API", "api", ("", "A face for a recording", "Errors")),
    "model": Topic("what the model in the box is, and is not for", "model-card", ("*",)),
    "responsible-use": Topic(
        "what the pictures are not, and who may be hurt",
        "responsible-use",
        ("What the pictures are not", "Who may be hurt, and by which error"),
    ),
    "privacy": Topic(
        "consent, and how a person is removed", "responsible-use", ("Consent and data", "Forgetting a person")
    ),
    "marking": Topic("how pictures say that they are drawn", "responsible-use", ("Marking",)),
    "migration": Topic("for those who come from the research code", "migration", ("*",)),
}
"""In the order in which one comes to them. "*": the whole page."""


def add_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("topic", nargs="?", metavar="TOPIC", help="one of those below, or a command")
    width = max(map(len, TOPICS)) + 2
    sub.formatter_class = argparse.RawDescriptionHelpFormatter  # the topics stay lines
    sub.epilog = "topics:\n" + "\n".join(f"  {name:<{width}}{topic.text}" for name, topic in TOPICS.items())


def run(options: argparse.Namespace) -> int:
    """Returns 2 for a topic that there is not."""
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
    """Its sections as Markdown, without pictures and comments. Raises KeyError for a section that the page has not."""
    text = re.sub(r"^!\[.*?\]\(.*?\)\n|^\*Left column.*?\*\n|<!--.*?-->", "", _page(topic.page), flags=re.M | re.S)
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)  # a card's tags
    parts = re.split(r"^##? +(.*)\n", _hidden(text), flags=re.M)
    _, title, start = parts[:3]
    sections = {"": start, **dict(zip(parts[3::2], parts[4::2], strict=True))}
    if topic.sections == ("*",):
        return text
    shown = [start if name == "" else f"## {name}\n{sections[name]}" for name in topic.sections]
    return f"# {title}\n" + "".join(shown).replace(FENCED, "#")


FENCED = "\0"  # stands for the # of comments in blocks of code, which are no headings


def _hidden(text: str) -> str:
    return re.sub(r"^```.*?^```", lambda block: block[0].replace("#", FENCED), text, flags=re.M | re.S)


def _page(name: str) -> str:
    """From the package, or, where it is used as it lies in the repository, from docs/."""
    if name == "model-card":
        return (PACKAGE / "weights" / "MODEL_CARD.md").read_text("utf-8")
    installed = PACKAGE / "docs" / f"{name}.md"
    page = installed if installed.is_file() else PACKAGE.parents[1] / "docs" / f"{name}.md"
    return page.read_text("utf-8")


def _show(text: str) -> None:
    from rich.markdown import Markdown

    from ds2f.cli.console import out

    out.print(Markdown(text, code_theme="ansi_dark"), soft_wrap=False, width=min(out.width, WIDEST))
