"""Where questions are answered: processes for each framework, the cache, and cases side by side."""
