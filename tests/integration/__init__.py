"""Tests against real clusters, servers and browsers."""
