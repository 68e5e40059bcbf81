"""Mutation testing: make small changes to the harness's own code, and check that the tests notice each."""
