"""Measurements of the harness and of its alternatives; each file is a program that prints a table."""
