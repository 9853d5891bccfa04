"""Event ids: derived from content where none is given, and checked where the shop gives them."""

import binascii
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from lifecycle.events.schema import EVENT_SCHEMA
from training.ingest.quality.shard_counts import ShardCounts
from training.ingest.sources import VERSION

OF_ORDER = ("customer_id", "occurred_at", "kind", "order_id")
OF_LINE = ("item_id", "amount")
SAME_EVENT = (*OF_ORDER, *OF_LINE)
ID_LENGTH = 16  # characters of 6 bits: among 10^10 events two get the same by chance with a probability of 10^-9
EVENTS_PER_CHECK = 4_000_000
FIRST_BYTES = np.array([(1 << 8 * number) - 1 for number in range(9)], dtype="<u8")
URL_SAFE = bytes.maketrans(b"+/", b"-_")
READ_ORDER = "__read_order"
OnRepeatedId = Literal["error", "latest", "first"]
Words = NDArray[np.uint64]  # shape (n,), little-endian: the same bytes on every machine


def are_equal_to_earlier(ids: pl.Series) -> pl.Series:
    """Which of the `numbered` ids of content are of events that equal an earlier one."""
    return ids.str.len_bytes() > ID_LENGTH


def content_ids(events: pl.DataFrame) -> pl.Series:
    """A 96-bit hash of the columns that make events the same, in base64; a missing value is not an empty one."""
    # As a rule the lines of an order lie together, and its part of the hash is theirs.
    changes = [pl.col(name).ne_missing(pl.col(name).shift()) for name in OF_ORDER]
    is_first = events.select(pl.any_horizontal(*changes)).to_series().to_numpy(writable=True)
    is_first[:1] = True
    first = np.flatnonzero(is_first)
    words = np.zeros((2, len(first)), dtype="<u8")
    of_order = _hashed(words[0], words[1], events.select(OF_ORDER)[first])
    num_lines = np.diff(first, append=events.height)
    low, high = (np.repeat(word, num_lines) for word in of_order)
    low, high = _hashed(low, high, events.select(OF_LINE))
    digests = np.empty((events.height, ID_LENGTH * 6 // 32), dtype="<u4")
    digests[:, :2] = low.view("<u4").reshape(-1, 2)
    digests[:, 2] = high.view("<u4")[::2]
    characters = binascii.b2a_base64(digests.data, newline=False).translate(URL_SAFE)
    offsets = np.arange(events.height + 1, dtype=np.int64) * ID_LENGTH
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(characters)]
    ids = pa.Array.from_buffers(pa.large_string(), events.height, buffers)
    # As a table, because polars would take a lone array with Arrow's compute functions, a long import.
    return pl.DataFrame(pa.table({"event_id": ids})).to_series()


def _hashed(low: Words, high: Words, columns: pl.DataFrame) -> tuple[Words, Words]:
    """Take in the values of columns, one column after another."""
    for values in columns.iter_columns():
        if values.dtype == pl.String:
            low, high = _with_texts(low, high, values)
        else:
            numbers = values if values.dtype.is_float() else values.cast(pl.Int64)
            bits = (numbers.fill_null(0).to_numpy() + 0).view("<u8")  # + 0 makes -0.0 0.0
            low, high = _mixed(low + bits, high + _missing(values))
    return low, high


def _missing(values: pl.Series) -> NDArray[np.bool_]:
    """Which values are missing, shape (n,); (1,) where none is, which spares long columns a copy."""
    if not values.null_count():
        return np.zeros(1, dtype=bool)
    missing: NDArray[np.bool_] = values.is_null().to_numpy()
    return missing


def _with_texts(low: Words, high: Words, values: pl.Series) -> tuple[Words, Words]:
    """Take in the UTF-8 bytes of each text, eight at a time, and its length; -1 for a missing one."""
    # The layout with offsets, without a cast by Arrow, which imports all of its compute functions.
    array = values.fill_null("").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    all_offsets = np.frombuffer(array.buffers()[1], dtype=np.int64)
    offsets = all_offsets[array.offset : array.offset + len(array) + 1]
    texts = np.frombuffer(array.buffers()[2] or b"", dtype=np.uint8)
    data = np.append(texts, np.zeros(8, dtype=np.uint8))
    # Eight bytes from each position.
    windows: Words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    lengths = np.diff(offsets)
    high = high + (lengths - _missing(values)).view("<u8")
    for start in range(0, int(lengths.max(initial=0)) or 1, 8):
        left = np.clip(lengths - start, 0, 8)
        taken = windows[np.minimum(offsets[:-1] + start, len(data) - 8)] & FIRST_BYTES[left]
        new_low, new_high = _mixed(low + taken, high)
        if start == 0:
            low, high = new_low, new_high
            continue
        # What other texts hold does not change the hash of a shorter one.
        is_over = left == 0
        low = np.where(is_over, low, new_low)
        high = np.where(is_over, high, new_high)
    return low, high


def _mixed(low: Words, high: Words) -> tuple[Words, Words]:
    """Each word takes in the other, then SplitMix64's finaliser scatters its bits."""
    low = low + high * np.uint64(0x9E3779B97F4A7C15)
    high = high + low * np.uint64(0xD1342543DE82EF95)
    for word in (low, high):
        word ^= word >> np.uint64(30)
        word *= np.uint64(0xBF58476D1CE4E5B9)
        word ^= word >> np.uint64(27)
        word *= np.uint64(0x94D049BB133111EB)
        word ^= word >> np.uint64(31)
    return low, high


def numbered(ids: pl.Series) -> pl.Series:
    """Equal ids told apart by a number behind the second and later ones, which makes these longer."""
    # A few too many do no harm: the ids themselves decide.
    hashes = ids.hash()
    if hashes.n_unique() == ids.len():
        return ids
    positions = hashes.is_duplicated().arg_true()
    number = pl.int_range(pl.len()).over("id")
    repeated = ids.gather(positions).to_frame("id").select("id", number=number)
    is_later = pl.col("number") > 0
    with_number = pl.when(is_later).then(pl.format("{}-{}", "id", "number")).otherwise("id")
    return ids.scatter(positions, repeated.select(with_number).to_series())


def without_repeated_ids(
    events: pl.DataFrame, rule: OnRepeatedId, counts: ShardCounts
) -> pl.DataFrame:
    """One event of each id. Rows that differ under one id are an error, unless `rule` says which of them holds.

    With `latest` or `first` that is the row of the highest or lowest `VERSION`, and where there is
    none the last or first that was read (`READ_ORDER`). ValueError where two of one version differ.
    """
    repeated = events.filter(pl.col("event_id").is_duplicated())
    if repeated.is_empty():
        return events
    held = repeated.sort(VERSION, READ_ORDER).unique(
        "event_id", keep="last" if rule == "latest" else "first", maintain_order=True
    )
    others = repeated.join(held, on=READ_ORDER, how="anti")
    content = list(EVENT_SCHEMA)
    replaced = others.join(held, on=content, how="anti", nulls_equal=True)
    same = ["event_id"] if rule == "error" else ["event_id", VERSION]
    contradicting = held.join(replaced, on=same, how="semi")
    if contradicting.height:
        one = contradicting.row(0, named=True)
        other = replaced.join(contradicting.head(1), on=same, how="semi").row(0, named=True)
        raise ValueError(_contradiction(one, other, rule))
    copies = others.join(replaced, on=READ_ORDER, how="anti")
    counts.account.drop("duplicate_event_id", copies)
    counts.account.drop("replaced_event_id", replaced)
    items = replaced.join(held.select("event_id", held="item_id"), on="event_id")
    counts.num_replaced_items += items.filter(pl.col("item_id").ne_missing(pl.col("held"))).height
    return events.join(others, on=READ_ORDER, how="anti", maintain_order="left")


def _contradiction(one: dict[str, object], other: dict[str, object], rule: OnRepeatedId) -> str:
    differing = {
        name: (one[name], other[name]) for name in EVENT_SCHEMA if one[name] != other[name]
    }
    remedy = (
        "say on_repeated_id: latest or first where one corrects the other"
        if rule == "error"
        else f"both have version {one[VERSION]}"
    )
    event_id = one["event_id"]
    return f"event_id {event_id!r} is given to two events that contradict each other: {differing}; {remedy}"


def check_ids_across_customers(folder: Path, num_events: int) -> None:
    """ValueError where one event_id belongs to two customers, whose events may lie in different shards."""
    events = pl.scan_parquet(folder / "events" / "*.parquet")
    hashed = events.with_columns(hash=pl.col("event_id").hash())
    num_parts = num_events // EVENTS_PER_CHECK + 1
    # A part of the ids at a time, because a set of all may not fit into memory.
    for part in range(num_parts):
        counts = hashed.filter(pl.col("hash") % num_parts == part).group_by("hash").len()
        repeated = counts.filter(pl.col("len") > 1).collect(engine="streaming")["hash"]
        if repeated.len():
            suspects = hashed.filter(pl.col("hash").is_in(repeated.implode())).collect()
            _check_suspects(suspects.sort("event_id", "customer_id"))


def _check_suspects(events: pl.DataFrame) -> None:
    """ValueError where ids are equal; those of equal hashes need not be."""
    repeated = events.filter(pl.col("event_id").is_duplicated())
    if repeated.height:
        event_id = repeated["event_id"][0]
        customers = repeated.filter(pl.col("event_id") == event_id)["customer_id"].to_list()
        raise ValueError(
            f"event_id {event_id!r} is given to events of two customers: {customers}; "
            "put what tells them apart before it, such as {sql: \"'web-' || id\"}, or leave event_id out"
        )
