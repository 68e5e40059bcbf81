"""The cost of a run of the harness besides its implementations, and the growth of that cost."""
