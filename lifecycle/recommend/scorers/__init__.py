"""Rankers that score items from histories: habits, neighbours and factors, each fitted once for everybody."""
