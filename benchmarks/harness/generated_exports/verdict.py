"""Runs ingest on a generated export and says whether all it tells is so."""

import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.harness.generated_exports.export import Export, drawn_export
from benchmarks.harness.generated_exports.oracle import (
    Expected,
    Line,
    Sums,
    expected_of,
    order_groups,
)
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.results.quality import Money, QualityReport

NUMBERS = ("quantity", "amount", "discount", "cost", "rating")
KINDS = ("right", "false", "refused", "refused_wrongly", "failed")
MAX_SHOWN = 400  # letters of a line
SHOWN = 3  # differing lines
MAX_MESSAGE = 1000  # letters of a message that a user can read


@dataclass(frozen=True)
class Verdict:
    """`kind` is one of KINDS; `details` say why."""

    seed: int
    kind: str
    details: tuple[str, ...] = ()
    recipe: str = ""

    def first_detail(self) -> str:
        """In one line."""
        return self.details[0].strip().splitlines()[-1][:MAX_SHOWN] if self.details else ""

    def __str__(self) -> str:
        return "\n  ".join((f"seed {self.seed}: {self.kind}", *self.details, self.recipe))


def verdict_of(seed: int) -> Verdict:
    """Draw the export of a seed, ingest it, compare."""
    with tempfile.TemporaryDirectory(prefix="evervalue-export-") as folder:
        return judged(drawn_export(seed, Path(folder)))


def judged(export: Export) -> Verdict:
    """Ingest an export as the command does, and compare all that it wrote."""
    recipe = export.recipe_file.read_text()
    try:
        config = IngestConfig.load(export.recipe_file)
        ingest(config)
    except ValueError as error:
        is_right = export.flaw is not None and export.flaw.is_told(str(error))
        kind = "refused" if is_right else "refused_wrongly"
        if "\n" in str(error) or len(str(error)) > MAX_MESSAGE:
            kind = "failed"
        flaw = f" (the flaw: {export.flaw.what})" if export.flaw else ""
        return Verdict(export.seed, kind, (f"ValueError: {error}{flaw}",), recipe)
    except Exception:  # whatever a user would see as a traceback is what this looks for
        return Verdict(export.seed, "failed", (traceback.format_exc(),), recipe)
    if export.flaw:
        return Verdict(
            export.seed, "false", (f"read without complaint: {export.flaw.what}",), recipe
        )
    found = tuple(differences(expected_of(export), export, config.output))
    return Verdict(export.seed, "false" if found else "right", found, recipe)


def differences(expected: Expected, export: Export, output: Path) -> Iterator[str]:
    """Each number that is not as expected."""
    report = QualityReport.model_validate_json((output / "quality.json").read_text())
    lines = list(_lines(output))
    yield from _of_lines(expected, lines)
    yield from _of_customers(expected, lines)
    yield from _of_account(expected, report)
    pairs: dict[str, tuple[object, object]] = {
        "events": (len(expected.lines), report.num_events),
        "customers": (len(expected.lines_by_customer), report.num_customers),
        "events by kind": (dict(expected.kinds), report.events_by_kind),
        "customers by orders": (order_groups(expected), report.customers_by_orders),
        "rows read": (expected.rows_read, report.rows_read),
        "exact duplicates": (_rows(expected, "exact_duplicate"), report.duplicates.dropped_exact),
        "equal ids": (_rows(expected, "duplicate_event_id"), report.duplicates.dropped_same_id),
        "refunds": (expected.kinds["refund"], report.refunds.total),
        "far dates": (_rows(expected, "date_far_from_others"), report.far_dates.rows),
        "files not read": (sorted(export.files_not_read), sorted(report.files_not_read)),
        "first event": (min(line.at for line in expected.lines), _at(report.first_event_at)),
        "last event": (max(line.at for line in expected.lines), _at(report.last_event_at)),
    }
    if expected.num_equal is not None:
        pairs["equal events kept"] = (expected.num_equal, report.duplicates.kept_equal)
    matched = sorted((found.rows, found.matched) for found in report.matches.values())
    pairs["lookups"] = (sorted(expected.matches.values()), matched)
    for name, (right, told) in pairs.items():
        if right != told:
            yield f"{name}: expected {right}, got {told}"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _rows(expected: Expected, reason: str) -> int:
    return expected.dropped[reason].rows if reason in expected.dropped else 0


def _lines(output: Path) -> Iterator[Line]:
    for file in sorted((output / "events").glob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            numbers = tuple(row[name] for name in NUMBERS)
            yield Line(
                row["customer_id"],
                row["occurred_at"],
                row["kind"],
                row["order_id"],
                row["item_id"],
                row["text"],
                row["event_id"],
                numbers,
            )


def _key(line: Line, *, has_id: bool) -> tuple[str, ...]:
    """What makes lines the same: texts as they are, numbers to nine digits and the noise of sums."""
    times = (line.customer_id, line.at.isoformat(), line.kind)
    texts = (line.order_id, line.item_id, line.text, line.event_id if has_id else None)
    numbers = [None if number is None else _rounded(number) for number in line.numbers]
    return tuple(map(repr, (*times, *texts, *numbers)))


def _rounded(number: float) -> float:
    return float(f"{round(number, 7) + 0.0:.9g}")


def _of_lines(expected: Expected, lines: list[Line]) -> Iterator[str]:
    given = {line.event_id for line in expected.lines}
    right = Counter(_key(line, has_id=True) for line in expected.lines)
    told = Counter(_key(line, has_id=line.event_id in given) for line in lines)
    for name, found in {"missing": right - told, "unexpected": told - right}.items():
        for key in sorted(found)[:SHOWN]:
            yield f"{name} line ({found.total()} in all): {', '.join(key)[:MAX_SHOWN]}"


def _of_customers(expected: Expected, lines: list[Line]) -> Iterator[str]:
    counts = Counter(line.customer_id for line in lines)
    sums: dict[str, float] = {}
    for line in lines:
        if line.kind in ("purchase", "renewal"):
            sums[line.customer_id] = sums.get(line.customer_id, 0.0) + (line.numbers[1] or 0.0)
    if counts != expected.lines_by_customer:
        yield f"lines by customer differ: {dict(list((expected.lines_by_customer - counts).items())[:SHOWN])}"
    yield from _of_sums("revenue of customer", expected.revenue_by_customer, sums)


def _of_sums(name: str, right: Mapping[str, Decimal], told: Mapping[str, float]) -> Iterator[str]:
    for key in sorted({*right, *told}):
        if not _is_close(right.get(key, Decimal(0)), told.get(key, 0.0)):
            yield f"{name} {key!r}: expected {right.get(key)}, got {told.get(key)}"


def _is_close(right: Decimal, told: float) -> bool:
    return abs(float(right) - told) <= 1e-9 * max(1.0, abs(float(right)))


def _of_account(expected: Expected, report: QualityReport) -> Iterator[str]:
    yield from _of_money("read", expected.read, report.account.read)
    yield from _of_money("kept", expected.kept, report.account.kept)
    for reason in sorted({*expected.dropped, *report.account.dropped}):
        right = expected.dropped.get(reason, Sums())
        yield from _of_money(
            f"dropped {reason}", right, report.account.dropped.get(reason, Money())
        )
    rows = {reason: sums.rows for reason, sums in expected.dropped.items()}
    if rows != report.rows_dropped:
        yield f"rows dropped: expected {rows}, got {report.rows_dropped}"


def _of_money(name: str, right: Sums, told: Money) -> Iterator[str]:
    if right.rows != told.rows:
        yield f"account {name}: expected {right.rows} rows, got {told.rows}"
    for part, sums, found in (
        ("purchases", right.purchases, told.purchases),
        ("refunds", right.refunds, told.refunds),
    ):
        if not _is_close(sums, found):
            yield f"account {name} {part}: expected {sums}, got {found}"
