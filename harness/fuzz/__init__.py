"""Run random valid cases through implementations; shrink each disagreement to a minimal case file.

Drawing, screening, confirming, shrinking and writing have a module each. Only shrinking needs hypothesis.
"""
