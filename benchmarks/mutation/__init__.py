"""Wrong versions of our own code, one small change in each, and whether the tests notice: mutation testing."""
