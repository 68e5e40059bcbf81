"""The pages of a report, for people.

Each module here makes one: its file is ``FILE``, and ``text(report)`` writes it.
"""
