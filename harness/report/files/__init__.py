"""The files of a report. Each module here writes one: its name is ``FILE``, and ``write(run, path)`` makes it."""
