"""The section on intervals: what they are, and how they hold by group."""

from training.report.intervals import intervals_section
from training.report.page import Paragraph, Table
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
    section = intervals_section(FOUND, "stack")
    told = " ".join(part.text for part in section.parts if isinstance(part, Paragraph))
    assert "quantiles of what will happen" in told and "the backtest customers" in told
    models, segments, history = (part for part in section.parts if isinstance(part, Table))
    assert models.rows[0][:3] == ["stack", 0.85, 0.8]
    assert segments.rows == [["top", 120, 0.81, 0.82, 0.07, 0.93, 0.94, 0.04]]
    assert history.rows == [["six or more", 120, 0.81, 0.82, 0.07, 0.93, 0.94, 0.04]]
    for table in (segments, history):
        assert len(table.header) == len(table.rows[0])
