"""The service as a user runs it, asked over real HTTP."""
