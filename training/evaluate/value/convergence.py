"""Fits of buy-till-you-die models that did not converge: told once, with what it means."""

import logging
from collections.abc import Iterator, Mapping

from lifecycle.btyd.meaning import meaning_of
from lifecycle.spend.models import SpendModels

logger = logging.getLogger(__name__)
BOUND = "on its bound"
CUT_OFF = "the search has not ended"  # whose message has numbers, others in each fit


def tell_problems(windows: Mapping[str, SpendModels], known: SpendModels | None = None) -> None:
    """A warning for what the problems of all windows' fits mean, but for those that `known` has too."""
    old = set() if known is None else {(problem, model) for problem, model in _problems(known)}
    found: dict[str, dict[str, None]] = {}  # by meaning, in their order
    where: dict[str, dict[str, None]] = {}
    for window, fitted in windows.items():
        for problem, model in _problems(fitted):
            if (problem, model) not in old:
                meaning = meaning_of(problem)
                found.setdefault(meaning, {})[f"{problem} in {model}"] = None
                where.setdefault(meaning, {})[window] = None
    for meaning, problems in found.items():
        logger.warning(
            "%s (fitted for %s): %s. What these models expect is used all the same",
            ", ".join(problems),
            ", ".join(where[meaning]),
            meaning,
        )


def _problems(fitted: SpendModels) -> Iterator[tuple[str, str]]:
    """What is wrong, and with which model; models share their Gamma-Gamma."""
    for name, model in fitted.btyd.items():
        reports = {name: model.purchases.report, "order values": model.values.report}
        for part, report in reports.items():
            if not report.converged:
                for problem in report.message.split("; "):
                    yield problem if BOUND in problem else CUT_OFF, part
