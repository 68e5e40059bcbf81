"""What a run of the harness costs beside what its implementations compute, and how that grows."""
