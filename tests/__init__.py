"""Tests: the same folders as the code, a module per module."""

import os

# Two processes of tests on two cores: threads of OpenMP that wait for each other cost ten times the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
