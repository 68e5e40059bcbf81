"""``harness port`` and ``harness run --weights`` from the command line, with NumPy alone."""

import json
import re
import shutil

import numpy as np
import pandas
import pytest

from harness import load_case, run
from harness.cli import main
from harness.port import porting
from harness.tensors import Structure

RNN = Structure("rnn", 2, 1, 1, 4, 5, None)


@pytest.fixture
def weights(workplace):
    """A checkpoint that fits the workplace's small case, outside the folder of that."""
    random = np.random.default_rng(3)
    np.savez(workplace / "m.npz", **{f"net.{name}": random.normal(size=shape) for name, shape in RNN.weights.items()})
    return workplace / "m.npz"


def test_a_port_writes_its_file_and_its_proof(harness, workplace, weights):
    done = harness("port", "m.npz", "--to", "npz", "out.npz")
    assert done.returncode == 0, done.stderr
    assert "wrote out.npz" in done.stdout
    assert (
        "net: 2 rnn layers, 4 inputs, 5 hidden units, float64\n"
        "assumed, because weights alone do not show it: rnn with activation tanh; " in done.stdout
    )
    written, source = np.load(workplace / "out.npz"), np.load(weights)
    assert {f"net.{name}": each.tolist() for name, each in written.items()} == {
        n: e.tolist() for n, e in source.items()
    }
    for name in ("comparisons.csv", "summary.md", "index.html", "environment.json"):
        assert (workplace / "reports" / "port" / name).is_file()


def called(monkeypatch, capsys, workplace, *arguments):
    """Call the command line here; return its status and what it wrote."""
    monkeypatch.chdir(workplace)
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("n.npz", "--to", "npz", "out.npz"), "n.npz does not exist"),
        (("cases/small.yaml", "--to", "npz", "out.npz"), "is no known checkpoint"),
        (("m.npz", "--to", "npz", "m.npz"), "exists already"),
        (("m.npz", "--to", "numpy", "out.npz"), "'numpy' is not one of"),
        (("m.npz", "--to", "npz", "out.npz", "--layer", "nett"), "no recurrent layer 'nett'; did you mean 'net'?"),
        (("m.npz", "--to", "npz", "out.npz", "--proof", "cases"), "choose another"),
        (("m.npz", "--to", "npz", "out.npz", "--proof", "out.npz"), "--proof out.npz is inside out.npz"),
        (
            ("m.npz", "--to", "npz", "out.npz", "--proof", "cases/../out.npz/x"),
            "is inside out.npz, which will be written",
        ),
        (("m.npz", "--to", "torch", "out.pt", "--activation", "identity"), "nn.RNN has tanh and relu"),
    ],
    ids=["missing", "foreign", "itself", "framework", "layer", "proof", "proof itself", "proof inside", "activation"],
)
def test_what_cannot_be_ported_writes_nothing(monkeypatch, capsys, workplace, weights, arguments, words):
    before = sorted(workplace.rglob("*"))
    status, output, errors = called(monkeypatch, capsys, workplace, "port", *arguments)
    assert (status, output) == (2, "")
    assert words in errors
    assert "Traceback" not in errors
    assert sorted(workplace.rglob("*")) == before


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "command",
    [
        ("judge", "report", "--atol"),
        ("judge", "report", "--rtol"),
        ("check", "mine.py", "--limit"),
        ("fuzz", "--seconds"),
        ("port", "m.npz", "--to", "npz", "out.npz", "--forget-bias"),
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_no_option_takes_what_is_no_finite_number(monkeypatch, capsys, workplace, command, number):
    """NaN is in no range and yet below none, so that every comparison with it is false."""
    status, output, errors = called(monkeypatch, capsys, workplace, *command, number)
    assert (status, output) == (2, "")
    assert f"Invalid value for '{command[-1]}': {number} " in errors


def torch_lstm(folder, **more):
    """Write the state dict of an nn.LSTM in NumPy's format, with something beside it."""
    random = np.random.default_rng(4)
    shapes = {"weight_ih_l0": (20, 3), "weight_hh_l0": (20, 5), "bias_ih_l0": (20,), "bias_hh_l0": (20,)}
    state = {f"rnn.{name}": random.normal(size=shape) for name, shape in shapes.items()}
    np.savez(folder / "lstm.npz", **state, **more)


STATED = {
    "activation": ("--activation", "relu", "the harness has tanh alone in an lstm"),
    "gates": ("--recurrent-activation", "hard_sigmoid", "the harness has sigmoid alone in an lstm"),
    "forget_bias": ("--forget-bias", "1", "TensorFlow 1's lstm alone adds one at run time"),
    "reset": ("--reset", "after", "an lstm has none"),
    "cell": ("--cell", "gru", "its tensors say lstm"),
}


@pytest.mark.parametrize(("option", "value", "why"), STATED.values(), ids=STATED)
def test_a_cell_that_is_stated_and_cannot_be_is_refused(monkeypatch, capsys, workplace, option, value, why):
    torch_lstm(workplace)
    status, _, errors = called(
        monkeypatch, capsys, workplace, "port", "lstm.npz", "--to", "npz", "o.npz", option, value
    )
    assert status == 2
    assert f"lstm.npz has layers that {option} " in errors
    assert f"does not fit: {why}; leave {option} out" in errors
    assert not (workplace / "o.npz").exists()


def test_the_cell_that_weights_alone_are_taken_for_is_said(monkeypatch, capsys, workplace, weights):
    """And with it what is passed over, in the text and in what programs read."""
    np.savez(workplace / "more.npz", **np.load(weights), **{"net.layer0.scale": np.ones(5)})
    status, _, errors = called(monkeypatch, capsys, workplace, "port", "more.npz", "--to", "npz", "out.npz")
    assert status == 2
    assert "tensors beside net that a plain rnn does not have: net.layer0.scale; " in errors
    asked = ("port", "more.npz", "--to", "npz", "out.npz", "--ignore", "net.layer0.scale", "--activation", "relu")
    status, output, errors = called(monkeypatch, capsys, workplace, *asked, "--json")
    assert status == 0, errors
    found = json.loads(output)
    assert found["assumed"] is True
    assumed, passed_over = found["remarks"]
    assert assumed.startswith("assumed, because weights alone do not show it: rnn with activation relu; --activation")
    assert passed_over == "skipped by --ignore: net.layer0.scale"


def test_weights_that_are_not_finite_are_not_ported(monkeypatch, capsys, workplace, weights):
    arrays = dict(np.load(weights))
    arrays["net.layer1.W_hh"][2, 3] = np.nan
    np.savez(weights, **arrays)
    status, _, errors = called(monkeypatch, capsys, workplace, "port", "m.npz", "--to", "npz", "out.npz")
    assert status == 2
    assert "m.npz has weights that are not finite: net.layer1.W_hh has 1 NaN of 25, the first at [2, 3]" in errors


def test_a_hostile_checkpoint_is_refused_and_not_run(monkeypatch, capsys, workplace):
    (workplace / "m.pt").write_bytes(b"\x80\x02cbuiltins\nopen\nX\x04\x00\x00\x00madeX\x01\x00\x00\x00w\x86R.")
    status, _, errors = called(monkeypatch, capsys, workplace, "port", "m.pt", "--to", "npz", "out.npz")
    assert status == 2
    assert "unpickling runs code" in errors
    assert not (workplace / "made").exists()
    assert not (workplace / "out.npz").exists()


def test_a_run_with_weights_from_elsewhere(harness, workplace, weights, tmp_path_factory):
    """They replace the cases' weights, wherever the file is; an error names the case that contradicts them."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "m.npz"
    weights.rename(elsewhere)
    case = workplace / "cases" / "small.yaml"
    (workplace / "cases" / "other.yaml").write_text(case.read_text().replace("input: 4", "input: 3"))
    done = harness("run", "--weights", str(elsewhere), "--layer", "net", "--impl", "numpy-concat", "--json")
    assert done.returncode == 2
    assert "cases/other.yaml:3:35: sizes.input: 3 contradicts m.npz, which has 4; use 4" in done.stderr
    assert [(each["case"], each["verdict"]) for each in json.loads(done.stdout)["results"]] == [("small", "match")]
    report = workplace / "reports" / "latest"
    again = json.loads((report / "environment.json").read_text())["again"]
    assert again == f"harness run --weights {elsewhere} --layer net"
    # What was run is the network of the checkpoint, and no longer the case's own.
    shutil.copy(elsewhere, case.with_name("m.npz"))
    text = re.sub("weights: .*", "weights: {checkpoint: m.npz}", case.read_text())
    expected = run("numpy-split", problem_of(case, text)).loss
    assert float(pandas.read_csv(report / "runs.csv")["loss"][0]) == expected
    assert run("numpy-split", problem_of(case, case.read_text())).loss != expected


def test_a_run_with_weights_passes_over_what_it_is_told_to(monkeypatch, capsys, workplace, weights):
    np.savez(workplace / "more.npz", **np.load(weights), **{"net.layer0.scale": np.ones(5)})
    asked = ("run", "small", "--weights", "more.npz", "--impl", "numpy-concat")
    status, _, errors = called(monkeypatch, capsys, workplace, *asked)
    assert status == 2
    assert "net.layer0.scale" in errors
    assert "--ignore net.layer0.scale" in errors
    status, _, errors = called(monkeypatch, capsys, workplace, *asked, "--ignore", "net.layer0.scale")
    assert status == 0, errors
    again = json.loads((workplace / "reports" / "latest" / "environment.json").read_text())["again"]
    assert again == "harness run --weights more.npz --ignore net.layer0.scale"


def problem_of(case, text):
    """Return the problem of a text beside a case's file."""
    path = case.with_name("beside.yaml")
    path.write_text(text)
    return load_case(path).problem()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--weights", "n.npz"), "n.npz does not exist"),
        (("--weights", "m.npz", "--layer", "x"), "no recurrent layer 'x'"),
        (("--layer", "x"), "--layer applies to the file that --weights names"),
        (("--ignore", "x"), "--ignore applies to the file that --weights names"),
    ],
    ids=["missing", "layer", "layer_of_nothing", "ignore_of_nothing"],
)
def test_weights_that_cannot_be_had_end_the_run_before_it_begins(
    monkeypatch, capsys, workplace, weights, arguments, words
):
    status, _, errors = called(monkeypatch, capsys, workplace, "run", "small", *arguments)
    assert status == 2
    assert words in errors
    assert not (workplace / "reports").exists()


def test_a_framework_that_is_not_installed_is_told_with_the_command_that_installs_it(
    monkeypatch, capsys, workplace, weights
):
    monkeypatch.setattr(
        "harness.implementations.missing_modules", lambda framework: [framework.name] * (framework.name != "numpy")
    )
    status, output, errors = called(monkeypatch, capsys, workplace, "port", "m.npz", "--to", "torch", "out.pt")
    assert (status, output) == (4, "")
    assert errors == "torch needs torch, which is not installed; pip install 'bptt-harness[torch]'\n"


def test_weights_that_came_through_wrong_end_in_an_error_and_leave_nothing(monkeypatch, capsys, workplace, weights):
    monkeypatch.setattr(porting, "_converted", lambda _, weights: {n: each * 1.001 for n, each in weights.items()})
    status, _, errors = called(monkeypatch, capsys, workplace, "port", "m.npz", "--to", "npz", "out.npz")
    assert status == 3
    assert "Error: nothing was written: layer0.W_xh has other numbers in the written file" in errors
    assert not (workplace / "out.npz").exists()
    assert not (workplace / "reports" / "port").exists()


def test_a_proof_that_fails_is_a_report_of_a_mismatch_and_leaves_no_file(monkeypatch, capsys, workplace):
    shapes = Structure("rnn", 1, 1, 1, 2, 3, None).weights
    np.savez(workplace / "m.npz", **{name: np.full(shape, 0.3) for name, shape in shapes.items()})
    monkeypatch.setattr(porting, "_converted", lambda _, weights: {n: each * 1.001 for n, each in weights.items()})
    monkeypatch.setattr(porting, "_check_bits", lambda *_: None)
    status, output, _ = called(monkeypatch, capsys, workplace, "port", "m.npz", "--to", "npz", "out.npz")
    assert status == 1
    assert "nothing was written: the ported weights do not compute the same" in output
    assert "Disagreements" in output
    assert not (workplace / "out.npz").exists()
    verdicts = pandas.read_csv(workplace / "reports" / "port" / "comparisons.csv").set_index("implementation")[
        "verdict"
    ]
    assert "mismatch" in set(verdicts["ported"])
    assert set(verdicts["numpy-split"]) == {"match"}
