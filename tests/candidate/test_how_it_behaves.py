"""A user's function that fails costs its own case and no other; the error shows the user's own lines."""

import csv
import time

import pytest

REMARKS = {
    "accumulates": (
        """\
        total = {}
        @harness.implementation("mine")
        def mine(problem):
            for name, array in right(problem).items():
                total[name] = total.get(name, 0) + array
            return dict(total)
        """,
        ["two calls return different answers: loss is", "the second is twice the first: gradients are added up"],
        1,
    ),
    "draws_random_numbers": (
        """\
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            r["layer0.W_hh"] = r["layer0.W_hh"] + np.random.normal(size=(5, 5))
            return r
        """,
        [
            "two calls return different answers: layer0.W_hh[0, 0] is",
            "is state kept from the first call, or a random number drawn?",
        ],
        1,
    ),
    "keeps_state_and_crashes": (
        """\
        seen = []
        @harness.implementation("mine")
        def mine(problem):
            seen.append(problem)
            assert len(seen) == 1, "one at a time"
            return right(problem)
        """,
        ["the second call raised AssertionError: one at a time; the first did not, so state is kept"],
        3,
    ),
    "alters_its_inputs": (
        """\
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            problem.weights["layer0.W_xh"] -= 0.1 * r["layer0.W_xh"]
            problem.inputs[:] = 0
            return r
        """,
        ["it changes its inputs: problem.weights['layer0.W_xh'], problem.inputs"],
        0,
    ),
    "writes_to_what_it_returned": (
        """\
        kept = np.zeros((5, 5))
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            kept[:] = r["layer0.W_hh"] if not kept.any() else 7
            r["layer0.W_hh"] = kept
            return r
        """,
        ["two calls return different answers", "the second call changed arrays that the first returned: layer0.W_hh"],
        1,
    ),
    "returns_an_input": (
        """\
        @harness.implementation("mine")
        def mine(problem):
            return {**right(problem), "inputs": problem.inputs}
        """,
        ["it returns its inputs: inputs is problem.inputs or a view of it"],
        1,
    ),
    "one_array_under_two_names": (
        """\
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            return {**r, "layer0.h0": r["layer0.h0"], "layer0.W_hh": r["outputs"][0], "outputs": r["outputs"]}
        """,
        ["returns arrays that share memory: layer0.W_hh is outputs[0]"],
        1,
    ),
    "float32_for_float64": (
        """\
        @harness.implementation("mine")
        def mine(problem):
            return {name: np.asarray(array, np.float32) for name, array in right(problem).items()}
        """,
        ["returned as float32 for float64 inputs, compared as float32: loss, outputs, layer0.W_xh"],
        0,
    ),
    "clips_by_value": (
        """\
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            return {name: np.clip(r[name], -0.5, 0.5) for name in problem.weights}
        """,
        ["gradients look clipped: ", "are exactly ±0.5"],
        1,
    ),
    "clips_by_norm": (
        """\
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            norm = np.sqrt(sum((r[name] ** 2).sum() for name in problem.weights))
            return {**r, **{name: r[name] * min(1, 0.25 / (norm + 1e-6)) for name in problem.weights}}
        """,
        [
            "gradients look clipped: layer0.W_xh, layer0.W_hh, layer0.b_h are the true values times",
            "joint norm is 0.25",
        ],
        1,
    ),
}


@pytest.mark.parametrize(("source", "words", "status"), REMARKS.values(), ids=REMARKS)
def test_what_is_noticed_is_said_first(check, source, words, status):
    done = check(source)
    assert done.status == status, done.out + done.err
    first, _, rest = done.out.partition("small")
    assert "Warnings:" in first
    for each in words:
        assert each in done.out.partition("\n\n  ")[0] + rest.partition("\n\n")[0]
    found = check(source, "--json").json["results"][0]
    assert found["remarks"]


def test_a_faultless_one_is_told_without_remarks(check):
    done = check("mine = harness.implementation('mine')(right)")
    assert done.status == 0, done.out + done.err
    assert "Warnings" not in done.out
    assert done.err == ""


def test_a_wrong_answer_in_float32_is_a_mismatch(check):
    done = check(
        """\
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            return {"layer0.W_hh": (r["layer0.W_hh"] * (1 + 1e-4)).astype(np.float32)}
        """
    )
    assert done.status == 1
    assert "compared as float32" in done.out


FAILURES = {
    "raises": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "divides_by_zero": ("return 1 / 0", "ZeroDivisionError: division by zero"),
    "exits": ("import sys; sys.exit('enough')", "SystemExit: enough"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "out_of_memory": ("raise MemoryError", "MemoryError"),
    "recurses": ("return mine(problem)", "RecursionError: maximum recursion depth exceeded"),
    "asks_for_input": ("input('Go on? ')", "EOFError"),
    "misspells_a_weight": ("problem.weights['layer0.Wxh']", "KeyError: 'layer0.Wxh'; did you mean 'layer0.W_xh'?"),
    "looks_in_the_wrong_place": ("problem.weights['layer0.h0']", "it is in problem.initial_state"),
    "misspells_an_attribute": ("problem.weigths", "did you mean 'weights'?"),
    "gives_the_loss_a_wrong_shape": (
        "problem.loss(problem.inputs)",
        "ValueError: the argument of problem.loss has shape (2, 4, 3), but should have (2, 4, 5)",
    ),
}


@pytest.mark.parametrize(("body", "words"), FAILURES.values(), ids=FAILURES)
def test_what_it_raises_is_shown_from_its_own_line_on(check, body, words):
    done = check(f"@harness.implementation('mine')\ndef mine(problem):\n    {body}\n")
    assert done.status == 3, done.out + done.err
    assert words in done.out
    traceback = done.out.partition("Traceback (most recent call last):\n")[2]
    assert f'my_rnn.py", line {check.lines + 3}, in mine' in traceback.splitlines()[0]
    assert "harness/candidate/trial" not in done.out
    assert "harness/problem" not in done.out


ENDINGS = {
    "exits_at_once": ("import os; os._exit(7)", "ended with status 7"),
    "is_killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"),
    "segmentation_fault": ("import ctypes; ctypes.string_at(0)", "in mine"),
    "aborts": ("import os; os.abort()", "my_rnn.py:{line} in mine"),
    "says_that_it_timed_out": (
        "print('Timeout (0:00:05)!\\nThread 0x1 (most recent call first):'); import os; os._exit(3)",
        "the my_rnn.py process ended with status 3\n",
    ),
    "has_a_child_that_crashed": (
        "import ctypes, os; os.fork() or ctypes.string_at(0); os.wait(); os._exit(4)",
        "the my_rnn.py process ended with status 4\n",
    ),
    "handles_faults_itself": ("import faulthandler, os; faulthandler.enable(); os.abort()", "was ended by SIGABRT"),
    "writes_to_every_descriptor": (
        "import os; [os.write(fd, b'Hello, world') for fd in range(3, 9) if writable(fd)]",
        "the my_rnn.py process sent something that is no message: its header should have",
    ),
    "answers_by_itself": (
        'answer(b\'{"status": "fine", "arrays": []}\')',
        "no message: 'status' should be ok, unsupported or error, but is 'fine'",
    ),
    "allows_itself_no_file": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))",
        "code here set this process's limit of open files to 0 (resource.RLIMIT_NOFILE)",
    ),
    "allows_itself_no_file_and_raises": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)); raise ValueError",
        "code here set this process's limit of open files to 0 (resource.RLIMIT_NOFILE)",
    ),
    "closes_what_it_did_not_open": ("import os; os.closerange(3, 100)", "the pipe for answers is closed"),
}

PIPES = """\
import fcntl, os, stat


def writable(fd):
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False
    return is_pipe and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY


def answer(header):
    for fd in filter(writable, range(3, 9)):
        os.write(fd, len(header).to_bytes(8, "little") + header)


"""


@pytest.mark.parametrize(("body", "words"), ENDINGS.values(), ids=ENDINGS)
def test_a_crash_costs_its_own_case(check, sweep, body, words):
    sweep("{sizes.time: [1, 2, 3]}")
    source = "@harness.implementation('mine')\ndef mine(problem):\n    if problem.case.sizes.time == 2:\n        "
    done = check(f"{PIPES}{source}{body}\n    return right(problem)\n")
    assert done.status == 3, done.out + done.err
    assert "1 error, 2 match in 3 cases" in done.out
    assert "transport.py" not in done.out + done.err
    assert words.format(line=check.lines + PIPES.count("\n") + 4) in done.out


BEFORE_IT_HANGS = {
    "after_a_line": "print('here I go')",
    "in_the_middle_of_a_line": "print('here I go', end='')",
    "having_handled_faults_itself": "import faulthandler; faulthandler.enable(); print('here I go')",
}


@pytest.mark.parametrize(
    "before",
    [
        BEFORE_IT_HANGS["in_the_middle_of_a_line"],
        pytest.param(BEFORE_IT_HANGS["after_a_line"], marks=pytest.mark.full),
        pytest.param(BEFORE_IT_HANGS["having_handled_faults_itself"], marks=pytest.mark.full),
    ],
    ids=["in_the_middle_of_a_line", "after_a_line", "having_handled_faults_itself"],
)
def test_a_hang_is_ended_and_told_where_it_was(check, sweep, before):
    sweep("{sizes.time: [1, 2, 3]}")
    start = time.monotonic()
    done = check(
        f"""\
        @harness.implementation("mine")
        def mine(problem):
            {before}
            while problem.case.sizes.time == 2:
                pass
            return right(problem)
        """,
        "--limit",
        "1",
    )
    assert time.monotonic() - start < 30
    assert done.status == 3, done.out + done.err
    assert "1 error, 2 match in 3 cases" in done.out
    assert "did not answer within 1 s; it was at my_rnn.py:" in done.out
    assert "in mine" in done.out
    assert "while problem.case.sizes.time == 2:" in done.out or "pass" in done.out
    assert done.err.count("here I go") == 5


def test_one_that_always_hangs_is_given_up(check, sweep):
    sweep("{sizes.time: [1, 2, 3, 4, 5, 6]}")
    done = check(
        "@harness.implementation('mine')\ndef mine(problem):\n    import time; time.sleep(99)\n", "--limit", "0.3"
    )
    assert done.status == 3
    assert "6 error in 6 cases" in done.out


def test_what_it_prints_is_shown_and_corrupts_nothing(check):
    done = check(
        """\
        import os, subprocess, sys
        print("imported")


        @harness.implementation("mine")
        def mine(problem):
            print("x" * 100_000)
            sys.stderr.write("to standard error")
            os.write(1, b"\\x00\\x01 straight to the descriptor\\n")
            subprocess.run(["echo", "from a process of its own"])
            sys.stdout.close()
            sys.stdout = open(os.devnull, "w")
            return right(problem)
        """,
        "--json",
    )
    assert done.status == 0, done.err
    assert done.json["results"][0]["verdict"] == "match"
    for words in ("imported", "xxxxx", "to standard error", "straight to the descriptor", "from a process of its own"):
        assert words in done.err


def test_a_torrent_of_prints_is_cut(check):
    done = check(
        """\
        @harness.implementation("mine")
        def mine(problem):
            for i in range(100_000):
                print("line", i)
            return right(problem)
        """
    )
    assert done.status == 0
    assert len(done.err.splitlines()) < 100
    assert "more lines" in done.err


def test_what_is_printed_without_end_is_kept_to_its_end(check):
    done = check(
        """\
        @harness.implementation("mine")
        def mine(problem):
            for i in range(50):
                print("x" * 1_000_000)
            return right(problem)
        """
    )
    assert done.status == 0, done.out + done.err
    assert f"... {100_000_100 - 2**20:,} bytes that were printed before this are left out" in done.err
    assert len(done.err) < 20_000, "long lines are cut, too"


def test_unsupported_is_no_failure(check, sweep):
    sweep("{activation: [tanh, relu]}")
    done = check(
        """\
        @harness.implementation("mine")
        def mine(problem):
            if problem.case.activation != "tanh":
                raise harness.Unsupported("only tanh here")
            return right(problem)
        """
    )
    assert done.status == 0, done.out
    assert "1 of 2 cases (activation=relu): only tanh here" in done.out
    assert "1 match, 1 unsupported in 2 cases" in done.out


@pytest.mark.parametrize(
    ("swept", "divide"),
    [
        ("cell: [rnn, lstm]", ("cell lstm", "supports={'cell': ('rnn',)}")),
        ("activation: [tanh, relu]", ("activation relu", "supports={'activation': ('tanh',)}")),
        ("bidirectional: [false, true]", ("bidirectional True", "supports={'bidirectional': (False,)}")),
    ],
    ids=["cell", "activation", "bidirectional"],
)
def test_what_divides_right_from_wrong_is_told(check, sweep, swept, divide):
    sweep(f"{{{swept}}}")
    source = "@harness.implementation('mine'{})\ndef mine(problem):\n    return right(problem)\n"
    done = check(source.format(""))
    assert done.status in (1, 3), done.out
    assert f"Only cases with {divide[0]} fail." in done.out
    assert divide[1] in done.out
    done = check(source.format(f", {divide[1]}"))
    assert done.status == 0, done.out
    assert "1 match, 1 unsupported" in done.out


def test_lengths_that_divide_right_from_wrong_are_told(check, workplace):
    equal = (workplace / "cases" / "small.yaml").read_text()
    (workplace / "cases" / "unequal.yaml").write_text(f"{equal}lengths: [4, 2]\n")
    done = check("@harness.implementation('mine')\ndef mine(problem):\n    return right(problem)\n")
    assert done.status == 1, done.out
    assert "Only cases with lengths fail." in done.out
    assert "where problem.lengths is not None" in done.out


def test_nothing_compared_is_5(check):
    done = check("@harness.implementation('mine')\ndef mine(problem):\n    raise harness.Unsupported('not today')\n")
    assert done.status == 5
    assert "Nothing was compared" in done.out
    assert "not today" in done.out


def test_state_of_one_case_is_not_held_against_the_next(check, sweep, workplace):
    sweep("{sizes.time: [1, 2, 3]}")
    done = check(
        """\
        calls = []
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            calls.append(1)
            r["loss"] = r["loss"] * len(calls)
            return r
        """
    )
    assert done.status == 1
    assert "on 3 cases" in done.out
    with (workplace / "reports/check/comparisons.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["tensor"] == "loss"]
    ratios = [float(row["actual"]) / float(row["expected"]) for row in rows]
    assert ratios == pytest.approx([2, 2, 2]), "each case sees a first and a second call"


def test_cases_that_fail_alike_are_told_once(check, sweep):
    sweep("{sizes.time: [2, 3, 4, 5], dtype: [float32, float64]}")
    done = check(
        """\
        @harness.implementation("mine")
        def mine(problem):
            r = right(problem)
            r["layer0.W_hh"] = r["layer0.W_hh"].T
            return r
        """
    )
    assert done.status == 1
    assert done.out.count("outside the tolerance") == 1
    assert "8 cases: layer0.W_hh" in done.out
    assert "Same result in 7 other cases" in done.out
    assert "match: loss, outputs, layer0.W_xh, layer0.b_h, layer0.h0" in done.out
    assert "the fault is in the backward pass" in done.out
    assert "After fixing it, run: harness check my_rnn.py 'small[sizes.time=2,dtype=float32]'" in done.out
    rows = check.command("check", "my_rnn.py", "--json").json["results"]
    assert [each["verdict"] for each in rows] == ["mismatch"] * 8


def test_the_report_has_it(check, workplace):
    done = check("mine = harness.implementation('mine')(right)", "--out", "elsewhere")
    assert done.status == 0
    with (workplace / "elsewhere/runs.csv").open(newline="") as file:
        rows = {row["implementation"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"numpy-split", "mine"}
    assert rows["mine"]["version"].startswith("numpy ")


def test_another_baseline(check):
    done = check("mine = harness.implementation('mine')(right)", "--baseline", "numpy-concat")
    assert done.status == 0
    assert "compared with numpy-concat" in done.out


def test_a_case_that_documents_a_mismatch_of_others_may_match(check, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "expect: mismatch\nbecause: others differ\nimplementations: [torch]\n")
    done = check("mine = harness.implementation('mine')(right)")
    assert done.status == 0, done.out
    assert "1 match" in done.out


def test_a_case_that_documents_a_mismatch_of_others_is_no_licence(check, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "expect: mismatch\nbecause: torch clips\n")
    done = check("@harness.implementation('mine')\ndef mine(problem):\n    return {'loss': 2 * right(problem)['loss']}")
    assert done.status == 1
    assert "Others are known to differ here: torch clips" in done.out
