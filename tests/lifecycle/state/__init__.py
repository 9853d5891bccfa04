"""Tests of lifecycle.state."""
