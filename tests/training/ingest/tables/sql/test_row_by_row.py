"""What looks at other rows is told by its form, wherever it stands; what looks at one row is let through."""

import polars as pl
import pytest

from training.ingest.tables.sql.row_by_row import looks_at_other_rows


@pytest.mark.parametrize(
    "sql",
    [
        "SUM(a)",
        "a = MAX(a)",
        "a > AVG(a)",
        "a >= MEDIAN(a)",
        "COUNT(*) > 1",
        "COUNT(DISTINCT a)",
        "FIRST(a)",
        "COALESCE(a, MIN(a))",
        "CASE WHEN b = 'x' THEN a / SUM(a) ELSE a END",
        "SUM(a) OVER (PARTITION BY o)",
        "ROW_NUMBER() OVER (PARTITION BY o ORDER BY v DESC) = 1",
        "RANK() OVER (ORDER BY a) <= 3",
        "LAG(a) OVER (ORDER BY b)",
        "FIRST_VALUE(a) OVER (PARTITION BY o ORDER BY v)",
        "LAST_VALUE(a) OVER (PARTITION BY o ORDER BY v)",
        "QUANTILE_CONT(a, 0.5)",
        "STDDEV(a)",
        "CORR(a, b)",
        "ARRAY_AGG(a)",
        "UNNEST(a)",
    ],
)
def test_aggregates_and_windows_are_found(sql: str) -> None:
    assert looks_at_other_rows(pl.sql_expr(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "a + 1",
        "a IN ('x', 'y') AND b NOT IN ('SUM', 'Len')",
        '"Agg" * "Len" + "Over"',
        "b = 'Agg' OR b = 'Len'",
        "GREATEST(a, b)",
        "ROUND(a, 2)",
        "CASE WHEN type NOT IN ('posting', 'closing') THEN amount END",
        "UPPER(TRIM(code)) LIKE 'C%'",
        "SUBSTR(code, 1, 3) || SPLIT_PART(code, ',', 1)",
        "REVERSE(code)",
        "EXTRACT(YEAR FROM d)",
        "COALESCE(a, 0) BETWEEN 1 AND 2",
        "CAST(a AS DOUBLE) / 100",
        "a.b.c",
        "'x'",
        "NULL",
    ],
)
def test_what_looks_at_one_row_is_let_through(sql: str) -> None:
    assert not looks_at_other_rows(pl.sql_expr(sql))
