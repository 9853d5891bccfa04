"""Clusters of a head that cluster/start.sh starts: jobs, and the service as cluster/serve.yaml has it."""
