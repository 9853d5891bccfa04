"""The command that makes and rotates the key of erasures."""

from pathlib import Path

import pytest

from lifecycle.erasure.keys import read_keys
from training.erase.key import main


def test_key_is_made_rotated_and_listed_without_its_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "key.json"
    for command in ("create", "rotate", "list"):
        main([command, "--path", str(path)])
    told = capsys.readouterr().out
    keys = read_keys(path).keys
    assert len(keys) == 2
    for key in keys:
        assert key.id in told and key.secret not in told


def test_what_cannot_be_done_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as status:
        main(["rotate", "--path", str(tmp_path / "none.json")])
    assert status.value.code == 1
    assert capsys.readouterr().err.startswith("training.erase.key: erasure key")
