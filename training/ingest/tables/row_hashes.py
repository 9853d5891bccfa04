"""Hashes of whole source rows: the same for equal rows, whatever types the reader found in their files."""

from hashlib import blake2b

import numpy as np
import polars as pl


def row_hashes(rows: pl.DataFrame) -> pl.Series:
    """A hash of each row (n,), within one run.

    Columns that have nothing in a row do not count, since other files may lack them; nor does their
    order. Numbers of one value are equal, as 5, 5.0 and the text `5` are.
    """
    total = np.zeros(rows.height, dtype=np.uint64)
    for values in rows.iter_columns():
        hashes = _comparable(values).hash(_seed(values.name)).to_numpy()
        total += np.where(values.is_null().to_numpy(), np.uint64(0), hashes)
    return pl.Series("hash", total)


def _seed(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest())


def _comparable(values: pl.Series) -> pl.Series:
    """Equal where two values are, of whatever types that hold both; bytes have the hash of a text already."""
    dtype = values.dtype
    if dtype.is_float():
        # A float32 as its shortest decimal: 19.99, not 19.989999771. Whole numbers as integers have them.
        whole = values.cast(pl.Int64, strict=False)
        return whole.cast(pl.String).zip_with(whole == values, values.cast(pl.String))
    if dtype.is_decimal():
        shortest = values.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1")
        return shortest.str.strip_suffix(".")
    if dtype == pl.Date:
        return _times(values.cast(pl.Datetime), has_zone=False)
    if isinstance(dtype, pl.Datetime):
        return _times(values, has_zone=dtype.time_zone is not None)
    if isinstance(dtype, pl.Struct):
        return row_hashes(values.struct.unnest()) if dtype.fields else values
    if dtype == pl.Array:
        return _lists(values.arr.to_list())
    if dtype == pl.List:
        return _lists(values)
    is_plain = dtype.is_integer() or dtype in (pl.Boolean, pl.Null, pl.Categorical, pl.Enum)
    return values.cast(pl.String) if is_plain else values


def _times(values: pl.Series, *, has_zone: bool) -> pl.Series:
    """Times without a zone differ from those with one, which may be told in several."""
    form = "%Y-%m-%d %H:%M:%S%.f"
    if not has_zone:
        return values.dt.strftime(form)
    return values.dt.convert_time_zone("UTC").dt.strftime(form + "Z")


def _lists(values: pl.Series) -> pl.Series:
    """A hash of each list, by its elements and their places."""
    lengths = values.list.len().fill_null(0).to_numpy().astype(np.int64)
    lists = np.repeat(np.arange(lengths.size), lengths)
    places = np.arange(lists.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    elements = values.filter(lengths > 0).explode().alias("element")
    placed = pl.DataFrame({"place": places, "element": row_hashes(elements.to_frame())})
    total = np.zeros(lengths.size, dtype=np.uint64)
    np.add.at(total, lists, placed.hash_rows().to_numpy())
    return pl.Series("hash", total)
