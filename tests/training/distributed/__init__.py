"""Ray clusters, joined or started."""
