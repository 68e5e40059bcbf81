"""A function without the decorator; the name needs quotes in a shell."""


def my_bptt(problem):
    return {}
