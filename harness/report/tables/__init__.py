"""The tables of a report. Each module here makes one: the file is ``FILE``, its columns ``COLUMNS``, and ``rows(run)``
yields its rows.
"""
