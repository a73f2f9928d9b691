"""Models that travel: saved, pushed to a Hub, taken from it, and then from the cache alone. The Hub is our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import hub_rules
from ds2f import Speech2Face, UserError
from ds2f.cli import main
from ds2f.demo import samples
from ds2f.models import folders, store
from ds2f.models.decoder import Decoder
from ds2f.models.prior import Prior, PriorConfig
from ds2f.speech2face.card import write_card
from ds2f.speech2face.hub import NEEDED, resolve, save
from fake_hub import FakeHub, running
from helpers import tiny_decoder

pytest.importorskip("huggingface_hub", reason="the extra hub is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny model that nobody has trained."""
    torch.manual_seed(0)
    where = tmp_path / "model"
    card = {"made": "2026-01-01", "training_rows": 12, "held_out": [1, 2]}
    store.save(where, tiny_decoder(every_condition=True), card, precision="float32")
    store.save(where, Prior(PriorConfig(width=16, depth=1)), card)
    return where


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    from huggingface_hub import constants

    with running() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_nobody")
        yield server


def test_the_hub_takes_the_tags_of_a_card(folder: Path) -> None:
    from huggingface_hub import ModelCard

    save(folder, folder)
    card = ModelCard.load(folder / "README.md")
    hub_rules.check_model(card.data.to_dict())
    assert (folder / card.data.license_link).is_file()
    (folder / "LICENSE").write_text("one's own", "utf-8")
    save(folder, folder)
    assert (folder / "LICENSE").read_text("utf-8") == "one's own"
    with pytest.raises(AssertionError):
        hub_rules.check_model({**card.data.to_dict(), "license": "apache"})


def test_a_saved_model_is_the_same_model(folder: Path, tmp_path: Path) -> None:
    model = Speech2Face.from_pretrained(folder, device="cpu")
    model.save_pretrained(tmp_path / "copy")
    again = Speech2Face.from_pretrained(tmp_path / "copy", device="cpu")
    assert again.fingerprint == model.fingerprint
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {*NEEDED, "README.md", "LICENSE"}
    model.save_pretrained(folder)  # onto itself: only the card is new
    assert (folder / "README.md").read_text() == (tmp_path / "copy" / "README.md").read_text()


def test_nothing_stays_of_another_model_that_lay_there_before(folder: Path, tmp_path: Path) -> None:
    save(store.shipped(), tmp_path / "copy")
    (tmp_path / "copy" / "metrics.json").write_text("{}")
    save(folder, tmp_path / "copy")
    found = {path.relative_to(tmp_path / "copy") for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert {str(name) for name in found} == {*NEEDED, "README.md", "LICENSE"}


def test_a_model_is_not_saved_over_the_folder_that_holds_it(folder: Path, tmp_path: Path) -> None:
    inside = tmp_path / "models" / "1"
    save(folder, inside)
    before = sorted(path.name for path in inside.iterdir())
    with pytest.raises(UserError, match="which would be taken for a part of it"):
        save(inside, tmp_path / "models")
    (tmp_path / "models" / "2024-run").mkdir()
    (tmp_path / "models" / "2024-run" / "decoder.json").write_text("{}")
    save(folder, tmp_path / "models")
    assert (tmp_path / "models" / "2024-run" / "decoder.json").exists()
    assert sorted(path.name for path in inside.iterdir()) == before == sorted([*NEEDED, "README.md", "LICENSE"])


def test_everything_in_the_box_travels(tmp_path: Path) -> None:
    save(folders.shipped(), tmp_path / "copy")
    kept = {path.relative_to(folders.shipped()) for path in folders.shipped().rglob("*") if path.is_file()}
    found = {path.relative_to(tmp_path / "copy") for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert found == {*kept, Path("README.md"), Path("LICENSE")}


def test_decoders_of_several_sizes_travel_together(folder: Path, hub: FakeHub) -> None:
    store.save(folder / "16", tiny_decoder(seed=1, every_condition=True), {})
    main_one = Decoder(replace(tiny_decoder(every_condition=True).config, size=32, patch=8))
    store.save(folder, main_one, {})
    Speech2Face.from_pretrained(folder, device="cpu").push_to_hub("someone/faces")
    both = [Speech2Face.from_pretrained("someone/faces", device="cpu", size=size) for size in (None, 16)]
    assert [model.size for model in both] == [32, 16]
    assert both[0].fingerprint != both[1].fingerprint
    with pytest.raises(UserError, match="draws faces of 16 or 32 px, not 64"):
        Speech2Face.from_pretrained("someone/faces", device="cpu", size=64)


def test_what_is_no_model_does_not_travel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(tmp_path), "someone/faces"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "has no decoder.json" in said
    assert "ds2f train" in said


def test_pushed_taken_and_then_at_hand_without_a_network(
    folder: Path, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "harmful.py").write_text("raise SystemExit('run')")
    assert main(["push", str(folder), "someone/faces"]) == 0
    assert f"{hub.url}/someone/faces/commit/" in capsys.readouterr().out
    assert hub.private == {"someone/faces": True}
    _, files = hub.files("someone/faces", "main")
    assert set(files) == {*NEEDED, "README.md", "LICENSE"}
    hub.commit("someone/faces", "main", {"modeling.py": b"raise SystemExit('run')"})

    model = Speech2Face.from_pretrained("someone/faces", device="cpu")
    assert model.fingerprint == folders.fingerprint(folder)
    assert not any("modeling.py" in line for line in hub.asked if "resolve" in line), "only our own files are fetched"
    faces = model(samples() / "person-1.mp4", count=1, steps=2)

    hub.asked.clear()
    again = Speech2Face.from_pretrained("someone/faces", device="cpu")
    assert hub.asked == [], "what is cached is used without asking anybody"
    assert list(again(samples() / "person-1.mp4", count=1, steps=2)[0].image.getdata()) == list(
        faces[0].image.getdata()
    )
    out = tmp_path / "faces"
    command = ["generate", str(samples() / "person-1.mp4"), "--out", str(out), "--model", "someone/faces"]
    assert main([*command, "--count", "1", "--steps", "2"]) == 0
    assert json.loads((out / "generation.json").read_text())["model"]["fingerprint"] == model.fingerprint


def test_nothing_stays_on_the_hub_of_a_model_that_was_there_before(folder: Path, hub: FakeHub) -> None:
    hub.commit("someone/faces", "main", {"notes.txt": b"", "metrics.json": b"{}", "64/decoder.json": b"{}"})
    hub.commit("someone/faces", "main", {"super-resolution.json": b"{}", "super-resolution.safetensors": b""})
    assert main(["push", str(folder), "someone/faces"]) == 0
    found = hub.files("someone/faces", "main")
    assert found is not None
    assert set(found[1]) == {*NEEDED, "README.md", "LICENSE", "notes.txt"}, "and what is not ours is left alone"


def test_how_to_use_another_branch_is_said(folder: Path, hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(folder), "someone/faces"]) == 0
    assert "ds2f generate talk.wav --out faces --model someone/faces" in capsys.readouterr().out
    assert main(["push", str(folder), "someone/faces", "--revision", "next"]) == 0
    said = capsys.readouterr().out
    assert 'Speech2Face.from_pretrained("someone/faces", revision="next")' in said
    assert "--model" not in said, "which would be the main branch's"


def test_a_revision_is_pinned(folder: Path, hub: FakeHub) -> None:
    Speech2Face.from_pretrained(folder, device="cpu").push_to_hub("someone/faces", public=True)
    assert hub.private == {"someone/faces": False}
    first = hub.heads["someone/faces", "main"]
    store.save(folder, tiny_decoder(seed=1, every_condition=True), {}, precision="float32")
    Speech2Face.from_pretrained(folder, device="cpu").push_to_hub("someone/faces", revision="next")
    assert hub.heads["someone/faces", "main"] == first
    old = Speech2Face.from_pretrained("someone/faces", revision=first, device="cpu")
    new = Speech2Face.from_pretrained("someone/faces", revision="next", device="cpu")
    assert old.fingerprint != new.fingerprint == folders.fingerprint(folder)
    with pytest.raises(UserError, match="there is no such revision"):
        resolve("someone/faces", "never")


def test_what_cannot_be_had_is_one_sentence(hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no such model, or it is private"):
        resolve("nobody/nothing")
    hub.commit("someone/other", "main", {"decoder.json": b"{}", "README.md": b"# Another kind of model"})
    with pytest.raises(UserError, match=r"has no decoder\.safetensors; it was not made by ds2f"):
        resolve("someone/other")
    with pytest.raises(UserError, match="no model folder"):
        resolve("no model at all")
    with pytest.raises(UserError, match="give owner/name"):
        Speech2Face.from_pretrained(folder, device="cpu").push_to_hub("faces")
    with pytest.raises(UserError, match=r"nowhere\.json cannot be read"):
        Speech2Face.from_pretrained(folder, device="cpu").save_pretrained(folder, folder / "nowhere.json")


def test_without_a_server(folder: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="cannot be reached"):
        resolve("someone/faces")
    with pytest.raises(UserError, match="Sending the model to someone/faces failed: the Hub cannot be reached"):
        Speech2Face.from_pretrained(folder, device="cpu").push_to_hub("someone/faces")


RIGHTS = 'You don\'t have the rights to create a model under the namespace "someone"'
CARD = {"errors": [{"message": '"license_name" must be a string'}, {"message": "tags are wrong"}], "warnings": []}


@pytest.mark.parametrize(
    ("part", "status", "said", "headers", "sentence"),
    [
        (
            "validate-yaml",
            400,
            CARD,
            {},
            'rejects its card: Invalid metadata in README.md.; "license_name" must be a string; tags are w',
        ),
        ("validate-yaml", 502, b"<html>", {"Content-Type": "text/html"}, "gave an invalid answer"),
        ("repos/create", 403, {"error": RIGHTS}, {"X-Error-Message": RIGHTS}, f"hf auth login; it says: {RIGHTS}."),
        ("repos/create", 401, {"error": "Invalid token."}, {}, "hf auth login; it says: Invalid token."),
        ("repos/create", 400, {"error": ["Name is bad.", "Too long."]}, {}, "it says: Name is bad. Too long."),
        ("repos/create", 200, {"url": "http://x/a/b"}, {}, "the Hub's answer cannot be understood: "),
        ("/commit/", 409, {"error": "A commit happened since."}, {}, "409; the name is taken, or somebody else has"),
        ("/commit/", 403, {"error": "storage limit reached"}, {}, "storage limit reached."),
        ("/commit/", 422, {}, {}, "answered with status 422."),
        ("/preupload/", 404, {"error": "gone"}, {"X-Error-Code": "RepoNotFound"}, "no such model, or it is private"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence_with_its_own_words(
    hub: FakeHub, folder: Path, part: str, status: int, said: object, headers: dict[str, str], sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    hub.refused[part] = (status, said, headers)
    assert main(["push", str(folder), "someone/faces"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "Sending the model to someone/faces failed" in shown
    assert sentence in shown
    assert "Traceback" not in shown


def test_why_a_model_is_not_given_is_what_the_hub_says(hub: FakeHub, folder: Path) -> None:
    Speech2Face.from_pretrained(folder, device="cpu").push_to_hub("someone/faces")
    hub.refused["/api/models/"] = (403, {"error": "Your IP is not in the allowed range."}, {})
    with pytest.raises(UserError, match=r"not in the cache, and the Hub answered with status 403; .*allowed range"):
        resolve("someone/faces")
    hub.refused["/api/models/"] = (403, {"error": "Ask its owner."}, {"X-Error-Code": "GatedRepo"})
    with pytest.raises(UserError, match=r"grants access on the Hub's page; .*it says: Ask its owner\."):
        resolve("someone/faces")


METRICS = {
    "version": 1,
    "split": "test",
    "clips": 40,
    "people": 30,
    "chance": {"r_at_1": {"value": 0.025}, "median_rank": {"value": 20.5}},
    "methods": [
        {
            "name": "ds2f",
            "kind": "images",
            "euclidean": {
                "r_at_1": {"value": 0.05, "low": 0.0, "high": 0.125},
                "r_at_5": {"value": 0.25, "low": 0.1, "high": 0.4},
                "median_rank": {"value": 14.0, "low": 10.0, "high": 17.5},
            },
        },
        {"name": "of a later version"},
    ],
}


def test_the_card_says_what_was_measured(folder: Path) -> None:
    text = write_card(folder).read_text()
    assert "Not measured" in text
    assert "16 x 16 pixels" in text
    assert "conditioned on: identity, voice, age, gender, ethnicity, guide" in text.replace("\n", " ")
    assert "training rows 12" in text
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    (folder / "MODEL_CARD.md").write_text("# Mine\n\n## Data\n\nMy own voice.\n")
    text = write_card(folder).read_text()
    assert "40 clips of 30 people" in text
    assert "| ds2f | 5.0% [0.0%, 12.5%] | 25.0% [10.0%, 40.0%] | – | 14.0 [10.0, 17.5] |" in text
    assert "| of a later version | – | – | – | – |" in text
    assert "| chance | 2.5% | – | – | 20.5 |" in text
    assert "### Data\n\nMy own voice." in text
    assert text.startswith("---\n")
    assert "{{" not in text
    (folder / "metrics.json").write_text("[1]")
    with pytest.raises(UserError, match=r"not the metrics\.json"):
        write_card(folder)


def test_the_card_reads_version_2_with_its_groups(folder: Path) -> None:
    best = {"r_at_1": {"value": 0.05, "low": 0.0, "high": 0.125}, "median_rank": {"value": 14.0}}
    group = {"kind": "gender", "people": 12, "few": False, "age_mae": {"value": 9.25}, "gender": None}
    method = {
        "name": "ds2f",
        "kind": "images",
        "spaces": {"dlib": {"centred_cosine": {"all": best}}, "other": {}},
        "groups": [{**group, "name": "female"}, {**group, "name": "other", "few": True}],
    }
    chance = {"retrieval": {"all": {"r_at_1": {"value": 0.5}}}}
    metrics = {"version": 2, "split": "test", "people": 2, "clips": [{}, {}, {}], "chance": chance, "methods": [method]}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text = write_card(folder).read_text()
    assert "3 clips of 2 people, none of whom were trained on" in text
    assert "| ds2f | 5.0% [0.0%, 12.5%] | – | – | 14.0 |" in text
    assert "| chance | 50.0% |" in text
    assert "| gender: female | 12 | – | – | 9.2 |" in text
    assert "gender: other" not in text


def test_nothing_of_single_people_travels(folder: Path, tmp_path: Path) -> None:
    groups = [{"name": "female", "few": False}, {"name": "rare", "few": True}]
    method = {"name": "ds2f", "source": "/home/zebulon/faces", "per_clip": {"rank": [1.0]}, "groups": groups}
    metrics = {
        "version": 2,
        "clips": [{"path": "Zebulon/1.mp4", "person": "voxceleb/Zebulon"}],
        "provenance": {
            "database": "/home/zebulon/d.db",
            "leaks": ["Zebulon is in train and test"],
            "seed": 0,
            "guided": {"folder": "/home/zebulon/model", "fingerprint": "abc"},
        },
        "methods": [{**method, "generation": {"model": {"folder": "/home/zebulon/model"}}}],
        "metrics_file": "/home/zebulon/metrics.json",
        "unmatched": "the alignment in /home/zebulon/runs/model has learnt from 1 of the 2 people of test",
    }
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    Speech2Face.from_pretrained(folder, device="cpu").save_pretrained(tmp_path / "copy", tmp_path / "metrics.json")
    for name in ("metrics.json", "README.md"):
        assert "zebulon" not in (tmp_path / "copy" / name).read_text().lower()
    kept = json.loads((tmp_path / "copy" / "metrics.json").read_text())
    assert kept["clips"] == 1
    assert kept["provenance"] == {"seed": 0, "guided": {"fingerprint": "abc"}, "leaks": 1}
    assert kept["methods"] == [{"name": "ds2f", "groups": [groups[0]]}]
    assert "1 clips of" in (text := (tmp_path / "copy" / "README.md").read_text())
    assert "some of whom were trained on" in text


def test_the_card_of_the_model_in_the_box_has_its_groups(tmp_path: Path) -> None:
    Speech2Face.from_pretrained(device="cpu").save_pretrained(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "| 18 and older | 3817 | 97.9 % |" in text
    assert "## Notes by its author" in text
