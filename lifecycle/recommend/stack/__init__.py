"""The stack of rankers: candidates of several, in the order of boosted trees that know their scores."""
