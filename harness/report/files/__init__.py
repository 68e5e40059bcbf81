"""The files of a report. Each module here writes one: it has its name in ``FILE`` and a function ``write(run, path)``."""
