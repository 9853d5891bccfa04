"""API keys: `python -m serving.keys create --scope score`, `list`, `revoke ID`. The file holds hashes, never keys."""

import argparse
import hashlib
import hmac
import json
import logging
import os
import secrets
import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.private_files import check_private, write_private, writing_private

# score: value, recommendations and model; write: events; admin covers the other two.
SCOPES = ("score", "read", "write", "admin")
OLD_NAMES = {"events": "write"}  # of scopes in files from before
KEY_BYTES = 32
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """What is stored of a key: who may do what, and the hex SHA-256 of the secret."""

    id: str
    scope: str
    sha256: str
    created_at: str

    def allows(self, scope: str) -> bool:
        """Whether the key may be used for calls of this scope."""
        return self.scope in (scope, "admin")


class KeyRing:
    """The keys of a file, read again whenever the file changes, so that a revoked key stops working at once."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError where the file is missing, damaged, readable by others, or holds no key."""
        self.path = path
        self.version = _version(path)
        self.keys = require_keys(path)

    def find(self, secret: str) -> Key | None:
        """The key of this secret, or None. Without a readable key file no key is valid."""
        version = _version(self.path)
        if version != self.version:
            self.version = version
            try:
                self.keys = read_keys(self.path)
            except ValueError as error:
                logger.error("no key is accepted until this is mended: %s", error)
                self.keys = []
        return find_key(self.keys, secret)


def default_path() -> Path:
    """The key file: EVERVALUE_KEYS where it is set, else in the user's configuration folder."""
    return Path(
        os.environ.get("EVERVALUE_KEYS") or Path.home() / ".config" / "evervalue" / "keys.json"
    )


def hash_secret(secret: str) -> str:
    """Hex SHA-256 of a key. Keys are 256 random bits, so one round of a fast hash suffices."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def find_key(keys: list[Key], secret: str) -> Key | None:
    """The key of this secret; takes the same time whether and wherever it is found."""
    sha256 = hash_secret(secret)
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, sha256):
            found = key
    return found


def read_keys(path: Path) -> list[Key]:
    """The keys of a file, none where it does not exist; ValueError where others may read it or it is damaged."""
    if not path.exists():
        return []
    check_private(path, "key file")
    try:
        keys = [Key(**entry) for entry in json.loads(path.read_text())["keys"]]
        return [replace(key, scope=OLD_NAMES.get(key.scope, key.scope)) for key in keys]
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"key file {path} is damaged: it is not what serving.keys writes"
        ) from None


def require_keys(path: Path) -> list[Key]:
    """The keys of a file with at least one; ValueError says how to make the first."""
    keys = read_keys(path)
    if not keys:
        raise ValueError(
            f"{path} holds no API key; create one: python -m serving.keys create --scope score"
        )
    return keys


def create_key(path: Path, scope: str, created_at: datetime) -> tuple[Key, str]:
    """Add a key of this scope to the file; returns what was stored, and the secret, which is stored nowhere."""
    if scope not in SCOPES:
        raise ValueError(f"scope is {scope!r}; it must be one of {', '.join(SCOPES)}")
    secret = secrets.token_urlsafe(KEY_BYTES)
    key = Key(
        secrets.token_hex(4), scope, hash_secret(secret), created_at.isoformat(timespec="seconds")
    )
    with writing_private(path):
        _write_keys(path, [*read_keys(path), key])
    return key, secret


def revoke_key(path: Path, key_id: str) -> None:
    """Remove a key from the file; ValueError where it holds none of this id."""
    with writing_private(path):
        keys = read_keys(path)
        kept = [key for key in keys if key.id != key_id]
        if len(kept) == len(keys):
            raise ValueError(f"{path} holds no key {key_id!r}")
        _write_keys(path, kept)


def main(arguments: list[str] | None = None) -> None:
    """The command line; 1 is its status where a command cannot be done."""
    options = _parser().parse_args(arguments)
    path = options.path or default_path()
    try:
        if options.command == "create":
            _create(path, options.scope)
        elif options.command == "revoke":
            revoke_key(path, options.id)
            print(f"revoked {options.id}")
        else:
            for key in read_keys(path):
                print(f"{key.id}  {key.scope:<7} {key.created_at}")
    except (ValueError, OSError) as error:
        print(f"serving.keys: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _create(path: Path, scope: str) -> None:
    """The secret is all that goes to standard output."""
    key, secret = create_key(path, scope, datetime.now(UTC))
    print(secret)
    told = f"key {key.id} with scope {key.scope}, kept as a hash in {path}; it is not shown again"
    print(told, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="serving.keys", description="API keys of the service.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it once")
    create.add_argument("--scope", required=True, choices=SCOPES)
    listing = commands.add_parser("list", help="ids, scopes and creation times")
    revoke = commands.add_parser("revoke", help="make a key invalid")
    revoke.add_argument("id")
    for command in (create, listing, revoke):
        command.add_argument(
            "--path", type=Path, help="key file; default EVERVALUE_KEYS, else ~/.config/evervalue"
        )
    return parser


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_mode


def _write_keys(path: Path, keys: list[Key]) -> None:
    write_private(path, {"keys": [asdict(key) for key in keys]})


if __name__ == "__main__":
    main()
