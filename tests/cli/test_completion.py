from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ds2f.cli import main


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


def test_a_shell_completes_commands_options_and_choices(script: str, tmp_path: Path) -> None:
    (tmp_path / "ds2f.bash").write_text(script)

    def complete(*words: str) -> list[str]:
        asked = " ".join(f"'{word}'" for word in ("ds2f", *words))
        code = (
            f"source ds2f.bash; COMP_WORDS=({asked}); COMP_CWORD={len(words)}; COMPREPLY=();"
            ' $(complete -p ds2f | grep -oE "[^ ]*shtab[^ ]*"); printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert complete("ge") == ["generate"]
    assert "--ethnicity" in complete("generate", "--e")
    assert complete("generate", "--gender", "f") == ["female"]
    (tmp_path / "talk.wav").touch()
    assert complete("generate", "ta") == ["talk.wav"]
