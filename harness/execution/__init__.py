"""Execution: processes for each framework, the cache of their answers, and cases side by side."""
