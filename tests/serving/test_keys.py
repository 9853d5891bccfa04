import hashlib
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.keys import (
    SCOPES,
    Key,
    KeyRing,
    create_key,
    find_key,
    main,
    read_keys,
    require_keys,
    revoke_key,
)
from tests.builders import REPOSITORY

NOW = datetime(2026, 1, 31, 18, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "keys.json"


def test_file_holds_the_hash_and_never_the_key(path: Path) -> None:
    key, secret = create_key(path, "score", NOW)
    assert secret not in path.read_text()
    [entry] = json.loads(path.read_text())["keys"]
    assert entry == {
        "id": key.id,
        "scope": "score",
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "created_at": "2026-01-31T18:30:00+00:00",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_key_has_256_bits_and_is_another_each_time(path: Path) -> None:
    secrets = {create_key(path, "score", NOW)[1] for _ in range(5)}
    assert len(secrets) == 5
    assert all(len(secret) == 43 for secret in secrets)  # 32 bytes in base64 without padding


def test_only_the_right_secret_is_found(path: Path) -> None:
    first, secret = create_key(path, "score", NOW)
    create_key(path, "write", NOW)
    keys = read_keys(path)
    assert find_key(keys, secret) == first
    assert find_key(keys, secret[:-1]) is None
    assert find_key(keys, first.sha256) is None
    assert find_key(keys, "é\udcff") is None


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("score", {"score"}), ("read", {"read"}), ("write", {"write"}), ("admin", set(SCOPES))],
)
def test_scope_covers_itself_and_admin_covers_all(scope: str, allowed: set[str]) -> None:
    key = Key("id", scope, "", "")
    assert {name for name in SCOPES if key.allows(name)} == allowed


def test_revoked_key_is_gone_and_the_others_stay(path: Path) -> None:
    first, _ = create_key(path, "score", NOW)
    second, _ = create_key(path, "score", NOW)
    revoke_key(path, first.id)
    assert read_keys(path) == [second]
    with pytest.raises(ValueError, match="holds no key"):
        revoke_key(path, first.id)


def test_keys_made_at_once_are_all_kept(path: Path) -> None:
    command = [sys.executable, "-m", "serving.keys", "create", "--scope", "score", "--path", path]
    makers = [
        subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    secrets = [maker.communicate(timeout=60)[0].strip() for maker in makers]
    keys = read_keys(path)
    assert len(keys) == 6
    assert all(find_key(keys, secret) is not None for secret in secrets)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_file_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    create_key(path, "score", NOW)
    os.chmod(path, mode)
    with pytest.raises(ValueError, match="chmod 600"):
        read_keys(path)
    with pytest.raises(ValueError, match="chmod 600"):
        create_key(path, "score", NOW)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": [{"id": 1}]}', '{"keys": 5}'])
def test_damaged_file_is_refused(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(ValueError, match="damaged"):
        read_keys(path)


def test_service_without_a_key_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(ValueError, match=r"python -m serving\.keys create --scope score"):
        require_keys(path)
    with pytest.raises(ValueError, match="holds no API key"):
        KeyRing(path)


def test_ring_notices_new_and_revoked_keys(path: Path) -> None:
    first, secret = create_key(path, "score", NOW)
    ring = KeyRing(path)
    assert ring.find(secret) == first
    second, other = create_key(path, "write", NOW)
    assert ring.find(other) == second
    revoke_key(path, first.id)
    assert ring.find(secret) is None


def test_ring_accepts_no_key_while_its_file_is_open_to_others(path: Path) -> None:
    _, secret = create_key(path, "score", NOW)
    ring = KeyRing(path)
    os.chmod(path, 0o644)
    assert ring.find(secret) is None
    os.chmod(path, 0o600)
    assert ring.find(secret) is not None


def test_create_prints_only_the_key_to_standard_output(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["create", "--scope", "score", "--path", str(path)])
    output = capsys.readouterr()
    assert find_key(read_keys(path), output.out.strip()) is not None
    assert str(path) in output.err


def test_command_line_lists_and_revokes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, secret = create_key(path, "write", NOW)
    main(["list", "--path", str(path)])
    listed = capsys.readouterr().out
    assert listed.split() == [key.id, "write", "2026-01-31T18:30:00+00:00"]
    main(["revoke", key.id, "--path", str(path)])
    assert read_keys(path) == []
    with pytest.raises(SystemExit):
        main(["revoke", key.id, "--path", str(path)])


def test_default_path_follows_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERVALUE_KEYS", str(path))
    main(["create", "--scope", "admin"])
    assert [key.scope for key in read_keys(path)] == ["admin"]


def test_file_with_the_old_name_of_a_scope_still_works(path: Path) -> None:
    _, secret = create_key(path, "write", NOW)
    path.write_text(path.read_text().replace('"write"', '"events"'))
    path.chmod(0o600)
    key = find_key(read_keys(path), secret)
    assert key is not None and key.allows("write") and not key.allows("score")
