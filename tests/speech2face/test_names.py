from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

from ds2f.speech2face.names import unique_stems


def test_stems_are_unique_wherever_they_are_written() -> None:
    places = ["talk.wav", "talk.mp3", "Talk.mp3", "a/talk.wav", "a/talk-wav.flac", "b.c/talk.wav"]
    stems = unique_stems([PurePosixPath(place) for place in places])
    assert stems == ["talk-wav", "talk-mp3", "Talk-mp3-2", "a/talk", "a/talk-wav", "b.c/talk"]
    assert len({stem.casefold() for stem in stems}) == len(stems)


def test_places_on_windows_are_named_with_slashes() -> None:
    assert unique_stems([PureWindowsPath(r"a\talk.wav"), PureWindowsPath("a/other.wav")]) == ["a/talk", "a/other"]


def test_names_are_such_as_every_system_takes() -> None:
    places = ["con.wav", "a:b.wav", "a_b.wav", "aux/x.wav"]
    assert unique_stems([PurePosixPath(place) for place in places]) == ["con_", "a_b-wav", "a_b-wav-2", "aux_/x"]
