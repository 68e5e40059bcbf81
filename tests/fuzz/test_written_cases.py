"""A case that was found is a case file like any other, whatever the implementation is called and says."""

from harness.case import load
from harness.fuzz.writing import name_of, write

SIZES = {"sizes": {"batch": 2, "time": 3, "input": 4, "hidden": 5}}


def test_texts_of_an_implementation_stay_comments(tmp_path):
    path = tmp_path / f"{name_of(SIZES, '../a|b c')}.yaml"
    assert path.parent == tmp_path
    assert path.name.startswith(".._a_b_c_rnn_")
    write(SIZES, "Found, and \ud800\0" + "x" * 20_000, ["what\nlayers: 2\r\nlayers: 3\x85\x1b[2J \udcff"], path)
    (case,) = load([str(path)]).cases
    assert case.layers == 1
    assert case.about.startswith(r"Found, and \ud800\x00xxx")
    assert r"# \x1b[2J \udcff" in path.read_text()
