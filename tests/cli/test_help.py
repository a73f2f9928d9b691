from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ds2f.cli import main
from ds2f.cli.help import TOPICS, Topic, text_of
from ds2f.cli.parser import COMMANDS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_is_what_the_page_says(name: str) -> None:
    topic = TOPICS[name]
    text = text_of(topic)
    assert text.startswith("# ")
    assert "\0" not in text
    assert "![" not in text
    for section in topic.sections:
        assert section in ("", "*") or f"\n## {section}\n" in text
    assert len(text.splitlines()) < 140, "a topic is some of a page"


def test_pages_of_topics_travel_with_the_package() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    pages = {topic.page for topic in TOPICS.values()} - {"model-card"}
    assert built["force-include"] == {f"docs/{page}.md": f"ds2f/docs/{page}.md" for page in sorted(pages)}


def test_a_comment_in_a_block_of_code_is_no_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "# Page\nfirst\n\n## A\n```python\n## of the code\n```\n\n## B\nlast\n"
    monkeypatch.setattr("ds2f.cli.help._page", lambda name: page)
    assert text_of(Topic("", "page", ("", "A"))) == page.partition("## B")[0]


def test_help_shows_topics_pages_and_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in TOPICS)
    assert main(["help", "privacy"]) == 0
    page = capsys.readouterr().out
    assert "Consent and data" in page
    assert "##" not in page, "Markdown is shown, not printed"
    with pytest.raises(SystemExit) as ended:
        main(["help", "generate"])
    assert ended.value.code == 0
    assert "--guidance WEIGHT" in capsys.readouterr().out


def test_a_topic_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["help", "corpor"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "ds2f help: there is no topic 'corpor', perhaps corpora; see: ds2f help --help\n"


def test_no_topic_is_called_as_a_command() -> None:
    assert not {*TOPICS} & {*COMMANDS}
