"""The room of season and trend in report.html."""

from training.report.page import Paragraph, Part
from training.results.arena import Results


def season_parts(results: Results) -> list[Part]:
    """What last year's season and the trend mean for the forecast: a sentence, and a plot where the data tell more.

    `Results` knows no season yet, so there is one thing to say. `months_over_years` draws months.
    """
    return [
        Paragraph(
            "Season and trend are not in this forecast. The models expect the next "
            f"{results.horizon_days} days to be like those they learned from. "
            "Where the same days of last year were far better or worse, expect that again."
        )
    ]
