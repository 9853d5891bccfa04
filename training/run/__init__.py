"""Job: Ray Train around the loop, to member/."""
