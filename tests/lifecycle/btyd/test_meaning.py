"""What a fit that did not converge means."""

import pytest

from lifecycle.btyd.beta_geometric import BOUNDS
from lifecycle.btyd.meaning import BUYING, LEAVING, UNFINISHED, VALUES, meaning_of


@pytest.mark.parametrize(
    ("parameters", "meaning"),
    [(("r", "alpha"), BUYING), (("a", "b", "s", "beta"), LEAVING), (("p", "q", "v"), VALUES)],
)
def test_parameters_on_their_bound_mean_what_they_describe(
    parameters: tuple[str, ...], meaning: str
) -> None:
    assert {meaning_of(f"{name} is on its bound") for name in parameters} == {meaning}


def test_every_parameter_of_bg_nbd_has_a_meaning() -> None:
    assert UNFINISHED not in {meaning_of(f"{name} is on its bound") for name in BOUNDS}


def test_a_search_that_was_not_over_says_so() -> None:
    assert meaning_of("the gradient is still 1.0e-02 after 99 iterations") == UNFINISHED
