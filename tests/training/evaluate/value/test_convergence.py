"""Fits that did not converge are told once, with what it means."""

import logging
from dataclasses import replace

import pytest

from lifecycle.btyd.model import Btyd
from lifecycle.spend.models import SpendModels
from tests.builders import BTYD
from training.evaluate.value.convergence import tell_problems


def fitted(message: str, values: str = "converged") -> SpendModels:
    """Two models with one message, and order values with another."""
    report = replace(BTYD.purchases.report, converged=message == "converged", message=message)
    of_values = replace(BTYD.values.report, converged=values == "converged", message=values)
    model = Btyd(
        replace(BTYD.purchases, report=report), replace(BTYD.values, report=of_values), BTYD.typical
    )
    return SpendModels(60, {"bgnbd_gg": model, "mbgnbd_gg": model}, {})


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_one_problem_of_two_models_in_three_windows_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stuck = fitted("r is on its bound")
    tell_problems({"test": stuck, "selection": stuck, "backtest": fitted("converged")})
    [line] = told(caplog)
    start = "r is on its bound in bgnbd_gg, r is on its bound in mbgnbd_gg (fitted for test, selection): "
    assert line.startswith(start)
    assert "how often they buy cannot be told" in line


def test_every_meaning_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    both = fitted(
        "b is on its bound; the gradient is still 1.0e-02 after 99 iterations", "q is on its bound"
    )
    tell_problems({"test": both})
    lines = told(caplog)
    assert len(lines) == 3
    assert "when customers leave" in lines[0] and "may not be the best" in lines[1]
    assert lines[2].startswith("q is on its bound in order values (fitted for test): how far")


def test_what_is_known_already_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    stuck = fitted("r is on its bound")
    tell_problems({"what serves": stuck}, known=stuck)
    assert told(caplog) == []
    tell_problems({"what serves": fitted("r is on its bound; a is on its bound")}, known=stuck)
    [line] = told(caplog)
    assert line.startswith("a is on its bound")
