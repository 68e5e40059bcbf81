"""The marks of a folder of implementation files: each file is checked by a command of its own, and becomes a row."""
