"""Values of a recipe as polars expressions, and which of their columns of text they need as numbers."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, product
from pathlib import Path

import polars as pl
import yaml

from lifecycle.events.schema import KINDS
from training.ingest.files.json_rows import arrays_problem
from training.ingest.sources import Sql, Table, Value, table_values
from training.ingest.tables.sql.literals import check_literals, check_order
from training.ingest.tables.sql.row_by_row import looks_at_other_rows
from training.ingest.tables.sql.wide import DIVISOR, prepared_sql

COMPARES = re.compile(r"[<>=]|\b(between|greatest|least)\b", re.IGNORECASE)
ORDERS = re.compile(r"<(?!>)|(?<!<)>|\b(between|greatest|least)\b", re.IGNORECASE)
MAX_TRIALS = 512
TYPES_OF_EMPTY = (pl.String(), pl.Boolean(), pl.Datetime("us"))


@dataclass(frozen=True)
class Numbers:
    """What columns of text hold: numbers alone, or numbers mostly and an odd cell, as it is told."""

    are_all: bool
    odd: str | None = None


NumbersIn = Callable[[list[str]], Numbers]


@dataclass(frozen=True)
class Expression:
    """One value of a recipe: its dotted name, what it computes, and the type of every column it computes from."""

    dotted: str
    value: Value
    expression: pl.Expr
    types: dict[str, pl.DataType]
    # Numbers that it divides by, as columns: polars multiplies by 1 / 100 in long tables, and divides in short ones.
    divisors: dict[str, int | float] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """The event column that it fills."""
        return self.dotted.removeprefix("columns.")

    @property
    def is_filter(self) -> bool:
        """Whether it says which rows to keep."""
        return self.dotted.partition(".")[0] == "filter"


def expressions_of(
    table: Table, schema: pl.Schema, file: Path, numbers_in: NumbersIn
) -> list[Expression]:
    """Every value of the recipe for a file of this schema; ValueError for a column or expression that does not fit.

    `numbers_in` says what the given text columns hold; it is asked where
    an expression such as `paid < price` means one thing for texts and another for numbers.
    """
    expressions = []
    for dotted, value in table_values(table).items():
        if isinstance(value, Sql):
            expressions.append(_sql_expression(value, dotted, schema, file, numbers_in))
        else:
            expressions.append(_plain_expression(value, dotted, schema, file))
    return expressions


def _plain_expression(
    value: str | bool | int | float, dotted: str, schema: pl.Schema, file: Path
) -> Expression:
    """A source column, a constant number or a kind; ValueError where it can be read as two of these."""
    if not isinstance(value, str):
        for name in schema:
            if _reads_as(name, value):
                raise ValueError(
                    f"{dotted}: {value!r} may mean the column {name!r} of {file} or a constant; "
                    f'for the column write it in quotes, for the constant {{sql: "{_constant(value)}"}}'
                )
        return Expression(dotted, value, pl.lit(value), {})
    is_kind = dotted in ("kind", "columns.kind") and value in KINDS
    if is_kind and value in schema:
        raise ValueError(
            f"{dotted}: {value!r} may mean the kind or the column of that name in {file}; "
            f'for the kind write {{sql: "{quoted(value)}"}}, for the column {{sql: \'"{value}"\'}}'
        )
    if value in schema:
        return Expression(dotted, value, pl.col(value), {value: schema[value]})
    if is_kind:
        return Expression(dotted, value, pl.lit(value), {})
    first = value.partition(".")[0]
    if isinstance(schema.get(first), pl.List | pl.Array):
        raise ValueError(f"{dotted}: {value!r}: {arrays_problem(first, file)}")
    constant = f'a constant text is {{sql: "{quoted(value)}"}}'
    if dotted in ("kind", "columns.kind"):
        constant = f"kinds are {', '.join(KINDS)}"
    elif isinstance(schema.get(first), pl.Struct):
        constant = f'a field of an object is {{sql: "{value}"}}'
    raise ValueError(f"{dotted}: unknown column {value!r}; {file} has {schema.names()}, {constant}")


def _reads_as(name: str, value: bool | int | float) -> bool:
    """Whether the name of a column, written in a recipe without quotes, is this value: 202402, No, 1e3."""
    try:
        read = yaml.safe_load(name)
    except (yaml.YAMLError, ValueError):  # ValueError: 2024-13-45
        return False
    is_bool = isinstance(value, bool)
    return (
        isinstance(read, bool) == is_bool and isinstance(read, bool | int | float) and read == value
    )


def _constant(value: bool | int | float) -> bool | float:
    """As SQL has it: of a number that is the name of a column, with a point."""
    return value if isinstance(value, bool) else float(value)


def quoted(text: str) -> str:
    """A text as an SQL constant."""
    return "'" + text.replace("'", "''") + "'"


def _sql_expression(
    value: Sql, dotted: str, schema: pl.Schema, file: Path, numbers_in: NumbersIn
) -> Expression:
    sql, divisors = prepared_sql(value.sql)
    try:
        pl.sql_expr(value.sql)
        expression = pl.sql_expr(sql)
        roots = dict.fromkeys(expression.meta.root_names())
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{dotted}: {value.sql!r} is not an SQL expression: {error}") from None
    if looks_at_other_rows(expression):
        raise ValueError(
            f"{file}: {dotted}: {value} depends on other rows than its own; "
            "an expression says what one row means, so add such a column before ingest"
        )
    for name in roots:
        if name not in schema and name not in divisors:
            raise ValueError(
                f"{dotted}: unknown column {name!r} in {value.sql!r}; {file} has {schema.names()}"
            )
    check_literals(value.sql, dotted, schema, file)
    check_order(value.sql, dotted)
    given = {name: schema[name] for name in roots if name in schema}
    types = column_types(sql, given, numbers_in, f"{file}: {dotted}")
    if types is None:
        lists = [arrays_problem(name, file) for name in given if given[name] in (pl.List, pl.Array)]
        problem = lists[0] if lists else _problem(sql, given)
        raise ValueError(f"{dotted}: {value.sql!r} cannot be computed from {file}: {problem}")
    return Expression(dotted, value, expression, types, divisors)


def column_types(
    sql: str, given: dict[str, pl.DataType], numbers_in: NumbersIn, place: str
) -> dict[str, pl.DataType] | None:
    """The types with which an SQL expression evaluates, None where there are none.

    A column of text is a number where the expression computes with it (`+` adds; texts are joined
    by `||`), and stays text where that evaluates as well, unless the expression compares and the
    whole file holds numbers. ValueError where it asks which is more, and an odd cell among numbers would
    make it go by letters.
    """
    working: list[dict[str, pl.DataType]] = []
    typed = given
    for typed in islice(_typed(given), MAX_TRIALS):
        working = _working_types(sql, tuple((name, wide(dtype)) for name, dtype in typed.items()))
        if working:
            break
    if not working:
        return None
    fewest = min(working, key=lambda types: sum(types[name] != wide(typed[name]) for name in given))
    most = min(working, key=lambda types: sum(types[name] == pl.String for name in given))
    undecided = [name for name in given if most[name] != fewest[name]]
    if not undecided or not COMPARES.search(sql):
        return fewest
    numbers = numbers_in(undecided)
    if numbers.odd and ORDERS.search(sql):
        raise ValueError(
            f"{place}: {sql!r} compares numbers, but {numbers.odd}; "
            "make it one of null_values, or mend it"
        )
    return most if numbers.are_all else fewest


def _typed(given: dict[str, pl.DataType]) -> Iterator[dict[str, pl.DataType]]:
    """Types for the columns in which a file has no values: what other files have there is not known."""
    empty = [name for name, dtype in given.items() if dtype == pl.Null]
    for types in product(TYPES_OF_EMPTY, repeat=len(empty)):
        yield given | dict(zip(empty, types, strict=True))


def wide(dtype: pl.DataType) -> pl.DataType:
    """The type in which SQL computes with a column. In the file's own, 3 * 100 of bytes would be 44."""
    if dtype == pl.UInt64 or (isinstance(dtype, pl.Decimal) and dtype.scale == 0):
        return pl.Int128()  # also ids, which NUMBER columns of databases hold
    if dtype.is_integer() and dtype != pl.Int128:
        return pl.Int64()
    return pl.Float64() if dtype.is_float() or dtype.is_decimal() else dtype


@cache
def _working_types(
    sql: str, given: tuple[tuple[str, pl.DataType], ...]
) -> list[dict[str, pl.DataType]]:
    """Every assignment of types that evaluates: text columns as numbers or text, whole numbers also as text."""
    names = [name for name, _ in given]
    choices = [_choices(dtype) for _, dtype in given]
    assignments = [dict(given)]
    for types in islice(product(*choices), MAX_TRIALS):
        assignments.append(dict(zip(names, types, strict=True)))
    return [types for types in assignments if _problem(sql, types) is None]


def _choices(dtype: pl.DataType) -> list[pl.DataType]:
    if dtype == pl.String:
        return [pl.Float64(), pl.String()]
    return [dtype, pl.String()] if dtype.is_integer() else [dtype]


def _problem(sql: str, types: dict[str, pl.DataType]) -> str | None:
    """Why the expression does not evaluate on columns of these types; `+` adds, though polars joins texts by it."""
    without_plus = re.sub(r'("[^"]*")|\+', lambda match: match[1] or "-", sql)
    divisors: dict[str, pl.DataType] = dict.fromkeys(
        re.findall(f'"({DIVISOR}[^"]*)"', sql), pl.Float64()
    )
    try:
        pl.DataFrame(schema=types | divisors).select(pl.sql_expr(without_plus).alias("value"))
    except pl.exceptions.PolarsError as error:
        return " ".join(str(error).split())
    return None
