"""Models of expected spend that fit in seconds, and the one bundle of them."""
