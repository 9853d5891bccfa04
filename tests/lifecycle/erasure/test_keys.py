"""Keys of erasures: nobody else may read them, and a new one leaves the old readable."""

import hashlib
import hmac
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lifecycle.erasure.keys import create_keys, default_path, read_keys, rotate_keys

NOW = datetime(2026, 1, 31, 18, 30, tzinfo=UTC)


def test_hash_is_that_of_the_standard(tmp_path: Path) -> None:
    key = create_keys(tmp_path / "key.json", NOW).newest
    secret = bytes.fromhex(key.secret)
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in secret.ljust(64, b"\0")) + "é 1".encode())
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in secret.ljust(64, b"\0")) + inner.digest())
    assert key.hash_of("é 1") == outer.hexdigest()
    assert hmac.compare_digest(key.hash_of("é 1"), key.hash_of("é 1"))


def test_newest_key_writes_and_the_old_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key.json"
    first = create_keys(path, NOW).newest
    second = rotate_keys(path, NOW).newest
    assert read_keys(path).keys == (first, second) and read_keys(path).newest == second
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.secret not in repr(read_keys(path))
    with pytest.raises(ValueError, match="is there already"):
        create_keys(path, NOW)


def test_file_that_is_no_key_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    with pytest.raises(ValueError, match=r"key.json does not exist.*training.erase.key create"):
        read_keys(path)
    create_keys(path, NOW)
    path.chmod(0o640)
    with pytest.raises(ValueError, match="mode 0640, others may use it; run: chmod 600"):
        read_keys(path)
    path.write_text('{"keys": [{"id": "a", "secret": "5ecre7"}]}')
    path.chmod(0o600)
    with pytest.raises(ValueError, match="is damaged") as error:
        read_keys(path)
    assert "5ecre7" not in str(error.value)


def test_place_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERVALUE_ERASURE_KEY", "/elsewhere/key.json")
    assert default_path() == Path("/elsewhere/key.json")
