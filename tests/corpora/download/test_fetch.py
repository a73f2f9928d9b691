from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import Site, serve

from ds2f.corpora.download import fetch as module
from ds2f.corpora.download.fetch import Login, fetch
from ds2f.errors import UserError

BODY = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(module, "CHUNK", 10_000)


def test_a_file_comes_whole_and_is_not_fetched_again(tmp_path: Path) -> None:
    with serve(Site({"a.zip": BODY})) as site:
        seen: list[tuple[int, int, str]] = []
        path = fetch(f"{site.address}/a.zip", tmp_path / "in" / "a.zip", progress=lambda *step: seen.append(step))
        assert path.read_bytes() == BODY
        assert seen[-1] == (len(BODY), len(BODY), "a.zip")
        assert [p.name for p in path.parent.iterdir()] == ["a.zip"], "nothing is left beside it"
        fetch(f"{site.address}/a.zip", path)
        assert len(site.requests) == 1


def test_dropped_connections_are_gone_on_with(tmp_path: Path) -> None:
    with serve(Site({"a.zip": BODY}, drop_after=[100_000, 50_000])) as site:
        assert fetch(f"{site.address}/a.zip", tmp_path / "a.zip").read_bytes() == BODY
        assert [asked for _, asked in site.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_call_that_was_killed_is_gone_on_with_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    with serve(Site({"a.zip": BODY}, drop_after=[100_000])) as site:

        def interrupt(done: int, total: int, name: str) -> None:
            if done >= 100_000:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetch(f"{site.address}/a.zip", target, progress=interrupt)
        assert not target.exists()
        assert (tmp_path / "a.zip.part").stat().st_size == 100_000
        assert fetch(f"{site.address}/a.zip", target).read_bytes() == BODY
        assert site.requests[-1][1] == "bytes=100000-"


def test_a_file_that_changed_on_the_server_is_fetched_anew(tmp_path: Path) -> None:
    with serve(Site({"a.zip": b"old" + BODY}, drop_after=[100_000])) as site:
        with pytest.raises(KeyboardInterrupt):
            fetch(f"{site.address}/a.zip", tmp_path / "a.zip", progress=_stop_at(100_000))
        site.files["a.zip"] = BODY
        assert fetch(f"{site.address}/a.zip", tmp_path / "a.zip").read_bytes() == BODY


def _stop_at(size: int):  # type: ignore[no-untyped-def]
    def progress(done: int, total: int, name: str) -> None:
        if done >= size:
            raise KeyboardInterrupt

    return progress


def test_a_server_without_ranges_starts_again(tmp_path: Path) -> None:
    with serve(Site({"a.zip": BODY}, ranges=False, drop_after=[100_000])) as site:
        assert fetch(f"{site.address}/a.zip", tmp_path / "a.zip").read_bytes() == BODY
        assert [asked for _, asked in site.requests] == [None, None]


def test_a_part_that_was_whole_only_needs_its_name(tmp_path: Path) -> None:
    with serve(Site({"a.zip": BODY})) as site:
        with pytest.raises(KeyboardInterrupt):
            fetch(f"{site.address}/a.zip", tmp_path / "a.zip", progress=_stop_at(len(BODY)))
        assert fetch(f"{site.address}/a.zip", tmp_path / "a.zip").read_bytes() == BODY


def test_a_login(tmp_path: Path) -> None:
    with serve(Site({"a.zip": BODY}, login="ada:secret")) as site:
        url = f"{site.address}/a.zip"
        for wrong in (None, Login("ada", "guess")):
            with pytest.raises(UserError, match="requires a valid login"):
                fetch(url, tmp_path / "a.zip", wrong)
        assert fetch(url, tmp_path / "a.zip", Login("ada", "secret")).read_bytes() == BODY


def test_what_is_not_there_and_who_stays_away(tmp_path: Path) -> None:
    with serve(Site({})) as site, pytest.raises(UserError, match="is not there"):
        fetch(f"{site.address}/a.zip", tmp_path / "a.zip")
    with pytest.raises(UserError, match="cannot be reached"):
        fetch(f"{site.address}/a.zip", tmp_path / "a.zip")  # it has closed by now


def test_a_server_that_asks_for_a_pause(tmp_path: Path) -> None:
    with serve(Site({"a.zip": BODY}, status={"a.zip": [(429, {"Retry-After": "7"}), (503, {})]})) as site:
        assert fetch(f"{site.address}/a.zip", tmp_path / "a.zip").read_bytes() == BODY
    patience = Site({"b.zip": BODY}, status={"b.zip": [(429, {"Retry-After": "7200"})]})
    with serve(patience) as site, pytest.raises(UserError, match="pause of 120 minutes"):
        fetch(f"{site.address}/b.zip", tmp_path / "b.zip")


def test_killed_after_the_renaming(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(BODY)
    (tmp_path / "a.zip.part.json").write_text("{}")
    fetch("http://127.0.0.1:1/a.zip", tmp_path / "a.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_part_that_is_longer_than_the_file_begins_anew(tmp_path: Path) -> None:
    with serve(Site({"a.zip": BODY}, drop_after=[100_000])) as site:
        with pytest.raises(KeyboardInterrupt):
            fetch(f"{site.address}/a.zip", tmp_path / "a.zip", progress=_stop_at(100_000))
        (tmp_path / "a.zip.part").write_bytes(BODY + b"more")
        assert fetch(f"{site.address}/a.zip", tmp_path / "a.zip").read_bytes() == BODY


def test_a_page_in_place_of_the_file_is_not_kept(tmp_path: Path) -> None:
    """As a server gives it whose login has ended, with status 200."""
    page = Site({"vox2_partaa": b"<html>Please log in", "terms.html": b"<html>"}, kind="text/html; charset=utf-8")
    with serve(page) as site:
        with pytest.raises(UserError, match="returned a web page"):
            fetch(f"{site.address}/vox2_partaa", tmp_path / "vox2_partaa")
        assert list(tmp_path.iterdir()) == []
        assert fetch(f"{site.address}/terms.html", tmp_path / "terms.html").exists()


def test_a_server_that_does_not_say_how_much_is_left(tmp_path: Path) -> None:
    with serve(Site({"a.zip": BODY}, drop_after=[100_000], lengths=False)) as site:
        assert fetch(f"{site.address}/a.zip", tmp_path / "a.zip").read_bytes() == BODY


def test_an_address_that_leads_nowhere(tmp_path: Path) -> None:
    with serve(Site({})) as site:
        site.status["a.zip"] = [(302, {"Location": f"{site.address}/a.zip"})] * 40
        with pytest.raises(UserError, match="cannot be fetched"):
            fetch(f"{site.address}/a.zip", tmp_path / "a.zip")
