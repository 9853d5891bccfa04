"""What it means for a shop that a parameter of a buy-till-you-die model ends on its bound."""

BUYING = "how far customers differ in how often they buy cannot be told from these data"
LEAVING = "when customers leave, and how far they differ in it, cannot be told from these data"
VALUES = "how far customers differ in the value of their orders cannot be told from these data"
PARAMETERS = {
    "r": BUYING,
    "alpha": BUYING,
    "a": LEAVING,
    "b": LEAVING,
    "s": LEAVING,
    "beta": LEAVING,
    "p": VALUES,
    "q": VALUES,
    "v": VALUES,
}
UNFINISHED = "the parameters may not be the best"


def meaning_of(problem: str) -> str:
    """Of one part of the message of a fit that did not converge, such as `r is on its bound`."""
    parameter, _, _ = problem.partition(" is on its bound")
    return PARAMETERS.get(parameter, UNFINISHED)
