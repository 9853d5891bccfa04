"""The keys that erased ids are hashed with: a file of mode 0600, to be kept apart from log and backups."""

import hmac
import os
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, Field

from lifecycle.folders import Stored, read_stored
from lifecycle.private_files import check_private, write_private, writing_private

SECRET_BYTES = 32
ENVIRONMENT = "EVERVALUE_ERASURE_KEY"
COMMAND = "python -m training.erase.key"


class ErasureKey(Stored):
    """One of the keys of a file."""

    id: str
    secret: str = Field(pattern="^[0-9a-f]{64}$", repr=False)
    created_at: AwareDatetime

    def hash_of(self, customer_id: str) -> str:
        """Hex HMAC-SHA256 of an id (RFC 2104): without the key nobody can try ids out."""
        secret = bytes.fromhex(self.secret)
        return hmac.digest(secret, customer_id.encode(), "sha256").hex()


class ErasureKeys(Stored):
    """All keys of a file in the order in which they were made; the newest writes."""

    keys: tuple[ErasureKey, ...] = Field(min_length=1)

    @property
    def newest(self) -> ErasureKey:
        """The key that new tombstones are written with."""
        return self.keys[-1]

    def of(self, key_ids: Iterable[str]) -> list[ErasureKey]:
        """The keys with these ids; ValueError names one that is missing."""
        known = {key.id: key for key in self.keys}
        for key_id in key_ids:
            if key_id not in known:
                raise ValueError(
                    f"tombstones were written with key {key_id!r}, and the key file has "
                    f"{', '.join(known)}: put the file that holds it in its place"
                )
        return [known[key_id] for key_id in key_ids]


def default_path() -> Path:
    """The key file where no other is named: that of EVERVALUE_ERASURE_KEY, else in the user's configuration folder."""
    return Path(
        os.environ.get(ENVIRONMENT) or Path.home() / ".config" / "evervalue" / "erasure.json"
    )


def read_keys(path: Path) -> ErasureKeys:
    """The keys of a file; ValueError where there is none, where others may read it, or where it is damaged."""
    if not path.is_file():
        raise ValueError(
            f"erasure key {path} does not exist: bring it there, or make the first by {COMMAND} create --path {path}"
        )
    check_private(path, "erasure key")
    try:
        return read_stored(path, ErasureKeys)
    except ValueError:
        raise ValueError(
            f"erasure key {path} is damaged: it is not what {COMMAND} writes"
        ) from None


def create_keys(path: Path, created_at: datetime) -> ErasureKeys:
    """A new file with one key; ValueError where there is one already."""
    with writing_private(path):
        if path.exists():
            raise ValueError(f"erasure key {path} is there already; {COMMAND} rotate adds a key")
        return _written(path, (), created_at)


def rotate_keys(path: Path, created_at: datetime) -> ErasureKeys:
    """Add a key, which writes from now on; what older ones have written stays readable."""
    with writing_private(path):
        return _written(path, read_keys(path).keys, created_at)


def _written(path: Path, before: tuple[ErasureKey, ...], created_at: datetime) -> ErasureKeys:
    secret = secrets.token_hex(SECRET_BYTES)
    new = ErasureKey(id=secrets.token_hex(4), secret=secret, created_at=created_at)
    keys = ErasureKeys(keys=(*before, new))
    write_private(path, keys.model_dump(mode="json"))
    return keys
