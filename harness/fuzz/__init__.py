"""Random valid cases through implementations; what disagrees is shrunk to a minimal case file.

Drawing, screening, confirming, shrinking, writing: a module each. Only shrinking needs hypothesis.
"""
