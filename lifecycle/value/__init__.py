"""From spend to value: formula, periods, costs, intervals, prospects."""
