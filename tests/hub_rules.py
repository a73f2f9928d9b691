"""What the Hugging Face Hub takes in the tags of a card, as it publishes it; its own validator needs a network.

https://github.com/huggingface/hub-docs: modelcard.md, docs/hub/repositories-licenses.md and, for Spaces,
docs/hub/spaces-config-reference.md. Keys that we do not write are not in here: a new one has to be looked up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LICENCES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-
permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1
lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl
lgpl-lr unknown other
"""
LICENCES = _LICENCES.split()
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
MODEL_KEYS = {"library_name", "license", "license_name", "license_link", "tags"}
"""No pipeline_tag: of the Hub's tasks none goes from a voice to a picture. No language: voices of any are heard."""
SPACE_KEYS = {"title", "emoji", "colorFrom", "colorTo", "sdk", "app_port", "license", "short_description", "tags"}
SPACE_KEYS |= {"models"}
PLAIN = re.compile(r"[a-z0-9][a-z0-9.-]*")


def check_model(said: Mapping[str, Any]) -> None:
    assert set(said) <= MODEL_KEYS, "look up whether the Hub takes it"
    assert said["license"] in LICENCES
    if said["license"] == "other":  # "add the license's text to a LICENSE file, and set a name for it"
        assert PLAIN.fullmatch(said["license_name"])
        assert said["license_link"] in ("LICENSE", "LICENSE.md") or said["license_link"].startswith("https://")
    assert PLAIN.fullmatch(said["library_name"])
    _check_tags(said["tags"])


def check_space(said: Mapping[str, Any]) -> None:
    assert set(said) <= SPACE_KEYS, "look up whether the Hub takes it"
    assert said["sdk"] in ("gradio", "streamlit", "docker", "static")
    assert isinstance(said["app_port"], int)
    assert said["colorFrom"] in COLOURS
    assert said["colorTo"] in COLOURS
    assert said["license"] in LICENCES
    assert isinstance(said["title"], str)
    assert said["emoji"]
    assert not any(letter.isascii() for letter in said["emoji"]), "emoji only"
    assert len(said["short_description"]) <= 60
    assert all(re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) for model in said.get("models", ()))
    _check_tags(said["tags"])


def _check_tags(tags: object) -> None:
    assert isinstance(tags, list)
    assert tags
    assert all(isinstance(tag, str) and PLAIN.fullmatch(tag) for tag in tags)
    assert len(set(tags)) == len(tags)
