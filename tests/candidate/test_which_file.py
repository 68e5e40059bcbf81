"""Errors in FILE.py[:FUNCTION]: the mistake, its place and the next command. Nothing runs and nothing is lost."""

import sys

import pytest

REFUSED = {
    "no_implementation": ("x = 1\n", "", "my_rnn.py: there is no implementation in it"),
    "how_to_begin": ("x = 1\n", "", "`harness new --implementation NAME.py` writes one to begin with"),
    "a_plain_function_unnamed": (
        "def bptt(problem): ...\n",
        "",
        "its functions are bptt (line 1): name one, as in my_rnn.py:bptt",
    ),
    "several": (
        "from harness import implementation as i\n@i('one')\ndef f(problem): ...\n@i('two')\ndef g(problem): ...\n",
        "",
        "my_rnn.py has several implementations: one (line 2), two (line 4); name one: my_rnn.py:one",
    ),
    "no_such_name": ("def my_bptt(problem): ...\n", ":my_btpt", "there is no 'my_btpt' in it; did you mean 'my_bptt'?"),
    "no_name": ("def my_bptt(problem): ...\n", ":", "a function's name should follow the colon"),
    "no_function": ("W = 3\n", ":W", "'W' is int, but should be a function"),
    "wrong_parameters": (
        "def f(x, h0, W): ...\n",
        ":f",
        "my_rnn.py:1: f: takes (x, h0, W), but should take one argument, the problem",
    ),
    "no_parameter": ("def f(): ...\n", ":f", "my_rnn.py:1: f: takes no argument, but should take one"),
    "syntax_error": ("def f(problem):\n    return {\n", "", "my_rnn.py:2: SyntaxError: '{' was never closed"),
    "exception_at_import": ("import numpy as np\nnp.zeros(-1)\n", "", "my_rnn.py:2: importing it raised ValueError"),
    "missing_module": (
        "import nmupy\n",
        "",
        "my_rnn.py:1: importing it raised ModuleNotFoundError: No module named 'nmupy'",
    ),
    "exit_at_import": ("import sys\nsys.exit(3)\n", "", "my_rnn.py:2: importing it raised SystemExit: 3"),
    "unknown_layout": (
        "import harness\n\n@harness.implementation('mine', layout='concatenate')\ndef f(problem): ...\n",
        "",
        "my_rnn.py:3: there is no layout 'concatenate'; did you mean 'concatenated'?",
    ),
    "no_parentheses": (
        "import harness\n\n@harness.implementation\ndef f(problem): ...\n",
        "",
        "my_rnn.py:3: the name is a function, but should be a text: @harness.implementation('mine')",
    ),
    "a_value_that_none_has": (
        "import harness\n@harness.implementation('x', supports={'cell': (object(),)})\ndef f(problem): ...\n",
        "",
        "but its values should be texts, numbers, True, False or None",
    ),
    "taken_name": (
        "import harness\n@harness.implementation('torch')\ndef f(problem): ...\n",
        "",
        "my_rnn.py:2: 'torch' is the name of an implementation of the harness; choose another",
    ),
    "crash_at_import": (
        "import os\nos._exit(9)\n",
        "",
        "could not be imported: the my_rnn.py process ended with status 9",
    ),
}


@pytest.mark.parametrize(("source", "function", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(check, workplace, source, function, words):
    done = check(source, function=function, alone=True)
    assert done.status == 2, done.out + done.err
    assert words in done.err
    assert "harness/candidate/userfile" not in done.err
    assert "importlib" not in done.err
    assert done.out == ""
    assert not (workplace / "reports").exists()


def test_the_traceback_of_an_import_begins_in_the_file(check, workplace):
    (workplace / "helpers.py").write_text("def setup():\n    raise RuntimeError('no weights yet')\n")
    done = check("import helpers\nhelpers.setup()\n", alone=True)
    assert done.status == 2
    lines = done.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert 'my_rnn.py", line 2' in lines[1]
    assert "helpers.py:2: importing it raised RuntimeError: no weights yet" in lines[-1]


def test_a_hang_at_import_is_ended(check):
    done = check("import time\ntime.sleep(99)\n", "--limit", "1", alone=True)
    assert done.status == 2
    assert "it was at my_rnn.py:2" in done.err


MISSING = {
    "misspelt": ("my_rn.py", "my_rn.py: there is no such file; did you mean 'my_rnn.py'?"),
    "without_suffix": ("my_rnn", "did you mean 'my_rnn.py'?"),
    "nothing_near": ("xyz.py", "`harness new --implementation xyz.py` writes one to begin with"),
    "no_folder": ("nowhere/my_rnn.py", "there is no folder nowhere"),
    "a_case": (
        "basic/tanh",
        "basic/tanh is a case, and your Python file comes before it: harness check FILE.py basic/tanh",
    ),
    "a_folder": ("cases", "cases is a folder, but should be a Python file"),
    "a_case_file": ("cases/small.yaml", "should be a Python file"),
    "a_notebook": ("my.ipynb", "jupyter nbconvert --to script my.ipynb"),
}


@pytest.mark.parametrize(("file", "words"), MISSING.values(), ids=MISSING)
def test_no_such_file(check, workplace, file, words):
    (workplace / "my_rnn.py").write_text("")
    (workplace / "my.ipynb").write_text("{}")
    done = check.command("check", file)
    assert done.status == 2
    assert words in done.err


ACCEPTED = {
    "a_plain_function": ("", ":right"),
    "by_the_name_in_python": ("@harness.implementation('mine')\ndef my_bptt(p): return right(p)\n", ":my_bptt"),
    "by_the_name_of_the_implementation": (
        "@harness.implementation('mine')\ndef my_bptt(p): return right(p)\n",
        ":mine",
    ),
    "one_of_several": (
        "one = harness.implementation('one')(right)\ntwo = harness.implementation('two')(lambda problem: None)\n",
        ":one",
    ),
    "an_object_with_a_method": ("class Net:\n    def bptt(self, p): return right(p)\nbptt = Net().bptt\n", ":bptt"),
}


@pytest.mark.parametrize(("source", "function"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(check, source, function):
    done = check(source, function=function)
    assert done.status == 0, done.out + done.err


def test_the_folder_of_the_file_is_importable_and_the_file_is_not_imported_here(check, workplace):
    (workplace / "sub").mkdir()
    (workplace / "sub" / "my_cells.py").write_text("FACTOR = 1\n")
    done = check(
        "import my_cells, sys\nassert sys.path[0].endswith('sub')\nmine = harness.implementation('mine')(right)\n",
        file="sub/my_rnn.py",
    )
    assert done.status == 0, done.err
    assert not {"my_cells", "my_rnn"} & set(sys.modules)


def test_relative_imports_of_a_package_work(check, workplace):
    (workplace / "nets").mkdir()
    (workplace / "nets" / "__init__.py").write_text("")
    (workplace / "nets" / "cells.py").write_text("FACTOR = 1\n")
    done = check("from .cells import FACTOR\nmine = harness.implementation('mine')(right)\n", file="nets/my_rnn.py")
    assert done.status == 0, done.err


@pytest.mark.parametrize("file", ["json.py", "harness_rnn.py", "my rnn.py", "test.py"])
def test_a_file_of_any_name(check, file):
    done = check("mine = harness.implementation('mine')(right)\n", file=file)
    assert done.status == 0, done.err


DOTTED = {
    "in_its_own_name": "my.rnn.py",
    "in_the_name_of_its_folder": "v1.2/my_rnn.py",
    "in_the_name_of_a_package": "nets/v1.2/my_rnn.py",
    "in_both": "v1.2/my.rnn.py",
}


@pytest.mark.parametrize("file", DOTTED.values(), ids=DOTTED)
def test_a_dot_in_a_name_is_no_package(check, workplace, file):
    """Python imports no package of such a name, with an ``__init__.py`` in the folder or without."""
    folder = (workplace / file).parent
    folder.mkdir(parents=True, exist_ok=True)
    for each in ("alone", "__init__.py"):
        (folder / each).write_text("")
        (workplace / "nets").is_dir() and (workplace / "nets" / "__init__.py").write_text("")
        done = check("import pickle\nmine = harness.implementation('mine')(right)\npickle.dumps(right)\n", file=file)
        assert done.status == 0, done.out + done.err
        assert "1 match" in done.out


def test_a_file_in_a_package_with_a_dot_in_its_own_name_has_relative_imports(check, workplace):
    (workplace / "nets").mkdir()
    (workplace / "nets" / "__init__.py").write_text("")
    (workplace / "nets" / "helper.py").write_text("factor = 1.0\n")
    source = "from .helper import factor\nmine = harness.implementation('mine')(right)\n"
    done = check(source, file="nets/my.rnn.py")
    assert done.status == 0, done.out + done.err


def test_a_decorated_function_can_still_be_called(check):
    done = check(
        """\
        @harness.implementation("inner")
        def inner(problem):
            return right(problem)


        @harness.implementation("mine")
        def mine(problem):
            return inner(problem)
        """,
        function=":mine",
    )
    assert done.status == 0, done.out + done.err


def test_an_implementation_may_support_fields_that_are_not_there(check):
    done = check("mine = harness.implementation('mine', supports={'lengths': (None,), 'layers': (1, 2)})(right)\n")
    assert done.status == 0, done.err


def test_a_report_folder_that_is_none_is_left_alone(check, workplace):
    (workplace / "precious").mkdir()
    (workplace / "precious" / "thesis.tex").write_text("years of work")
    done = check("mine = harness.implementation('mine')(right)\n", "--out", "precious")
    assert done.status == 2
    assert "precious" in done.err


def test_unknown_case_and_baseline_have_a_nearest(check):
    assert "did you mean 'small'?" in check("", "smal", function=":right").err
    assert "did you mean 'numpy-split'?" in check("", "--baseline", "numpy-spilt", function=":right").err


def test_a_bad_case_beside_a_good_one_is_2_and_the_good_one_is_run(check, workplace):
    (workplace / "cases" / "bad.yaml").write_text("sizes: {batch: 1, time: 2, input: 3, hiden: 4}\n")
    done = check("", function=":right")
    assert done.status == 2
    assert "did you mean 'hidden'?" in done.err
    assert "1 match" in done.out
