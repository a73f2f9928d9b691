"""`ds2f download`: what it says. The downloads themselves are tested with `ds2f.corpora.download`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2f.cli.download import download_voxceleb
from ds2f.corpora.download import voxceleb


@pytest.mark.parametrize(
    ("archives", "kinds"),
    [
        (("vox1_dev_wav.zip",), ["--kind voices "]),
        (("vox2_dev_mp4.zip",), [""]),
        (("vox2_dev_mp4.zip", "vox2_dev_aac.zip"), ["", "--kind voices "]),
        ((), [""]),
    ],
)
def test_what_comes_next_takes_what_was_unpacked(
    archives: tuple[str, ...],
    kinds: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`ds2f ingest` without --kind takes videos alone."""
    got = voxceleb.Unpacked(archives, 3, {}, ())
    monkeypatch.setattr(voxceleb, "download", lambda *given: got)
    monkeypatch.chdir(tmp_path)
    download_voxceleb(["https://example.org/a"], Path("vox"), None, None, False)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Next")]
    assert said == [f"Next: ds2f ingest {kind}vox" for kind in kinds]
