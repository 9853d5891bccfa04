"""HTTP endpoints on Ray Serve."""
