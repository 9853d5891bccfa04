"""The recipe of audience."""

from pathlib import Path

from pydantic import Field, field_validator

from lifecycle.config import Config

EXACT = ".parquet"
OF_WORKBOOKS = (".xlsx", ".xls", ".ods")


class AudienceConfig(Config):
    """Recipe of `python -m training.audience`."""

    scores: Path  # the folder that training.score wrote
    where: str  # a condition on the columns of scores.parquet in polars' SQL
    columns: tuple[str, ...] = ("customer_id", "clv", "segment", "stage", "next_best_action")
    order_by: str = "clv"  # highest first
    limit: int | None = Field(None, ge=1)
    # Share that is left alone, so that what the campaign brings can be measured.
    holdout: float = Field(0.0, ge=0, lt=1)
    salt: str = "campaign"  # another one holds out others
    # Texts that begin like a formula get a single quote in front; false writes every cell as it is.
    spreadsheet_safe: bool = True
    output: Path  # a CSV file; the same with exact values lies beside it as Parquet

    @field_validator("output")
    @classmethod
    def _is_the_name_of_a_csv_file(cls, output: Path) -> Path:
        if output.suffix.lower() in OF_WORKBOOKS:
            raise ValueError("is CSV, which no spreadsheet opens under that name; end it in .csv")
        if output.suffix == EXACT:
            raise ValueError(f"is CSV, and {output.name} is the name of the Parquet file beside it")
        return output
