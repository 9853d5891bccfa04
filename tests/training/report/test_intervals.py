"""The section on intervals: what they are, and how they hold by group."""

from training.report.intervals import intervals_section
from training.report.page import Paragraph, Table, Written
from training.results.value import GroupCoverage, IntervalMetrics, IntervalResults

MODEL = IntervalMetrics(
    coverage_80=0.85,
    pit_coverage_80=0.8,
    interval_score_80=100.0,
    constant_interval_score_80=120.0,
    coverage_95=0.96,
    pit_coverage_95=0.95,
    interval_score_95=200.0,
    constant_interval_score_95=220.0,
)
TOP = GroupCoverage(
    num_customers=120,
    coverage_80=0.81,
    pit_coverage_80=0.82,
    margin_80=0.07,
    coverage_95=0.93,
    pit_coverage_95=0.94,
    margin_95=0.04,
)
FOUND = IntervalResults(
    models={"stack": MODEL},
    calibrated_on="backtest",
    pit_shares=[0.1] * 10,
    segments={"top": TOP},
    history={"six or more": TOP},
)


def test_section_says_what_intervals_are_and_has_every_group_with_its_numbers() -> None:
    section = intervals_section(FOUND, "stack", "EUR")
    told = " ".join(part.text for part in section.parts if isinstance(part, Paragraph))
    assert "quantiles of what will happen" in told and "the backtest customers" in told
    of_80, of_95, segments, history = (part for part in section.parts if isinstance(part, Table))
    assert of_80.rows[0][1:] == [0.85, 0.8, 100.0, 120.0]
    assert of_95.rows[0][1:] == [0.96, 0.95, 200.0, 220.0]
    shares = [Written(text) for text in ("81 %", "82 %", "7 %", "93 %", "94 %", "4 %")]
    assert segments.rows == [["top", 120, *shares]]
    assert history.rows == [["six or more", 120, *shares]]
    for table in (segments, history):
        assert len(table.header) == len(table.rows[0])
