"""The recipe of erasing."""

from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer, field_validator

from lifecycle.config import Config
from training.ingest.logged import checked_url, shown_url


class EraseConfig(Config):
    """Recipe of `python -m training.erase`."""

    # That may hold customers: data, examples, scores, what evaluate wrote, audiences, profiles.
    folders: tuple[Path, ...]
    models: tuple[Path, ...] = ()  # where other artifacts and members lie, and tables that are told
    exports: tuple[str, ...] = ()  # raw sources beside those that the data name
    tombstones: Path  # the file, made where there is none
    key: Path | None = None  # None: that of EVERVALUE_ERASURE_KEY, else in the user's folder
    # Of events over HTTP; a password is not written where the recipe is saved.
    log: Annotated[str, PlainSerializer(shown_url, when_used="json")] | None = None
    customers: tuple[str, ...] = ()  # ids to erase, beside those that came over HTTP
    lift: tuple[str, ...] = ()  # ids of erased customers who may come back
    receipts: Path  # a folder: a JSON file for each erased customer

    @field_validator("log")
    @classmethod
    def _is_one_of_a_log(cls, url: str | None) -> str | None:
        return None if url is None else checked_url(url)

    @field_validator("customers", "lift")
    @classmethod
    def _ids_are_whole(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        for number, customer_id in enumerate(ids):
            if not customer_id or customer_id != customer_id.strip():
                raise ValueError(f"number {number} is empty, or begins or ends with a blank")
        return ids
