"""Events of single customers."""
