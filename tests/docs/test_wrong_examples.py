"""Examples that do not do what their page says are found, each with its place."""

from pathlib import Path

import pytest

from tests.docs.examples import Folder, failures

RIGHT = {
    "console": "$ echo one; echo two >&2\none\ntwo\n$ false\n$ echo $?\n",
    "python": "assert 1 + 1 == 2",
    "yaml": "truncation: {kind: detach, every: 5}",
    "sh": "make report\nharness run basic --impl torch --elements all   # a comment\nharness list faults --json",
}


def page(tmp_path: Path, *blocks: str) -> Path:
    written = tmp_path / "page.md"
    written.write_text("\n\n".join(["# A page", *blocks, ""]))
    return written


def fenced(language: str, source: str) -> str:
    return f"```{language}\n{source.rstrip()}\n```"


def wrong(tmp_path: Path, *blocks: str) -> list[str]:
    return list(failures(page(tmp_path, *blocks), Folder(tmp_path)))


def test_right_examples_are_right(tmp_path):
    right = {**RIGHT, "console": "$ echo one; echo two >&2\none\ntwo\n$ true\n$ (exit 3); echo $?\n3"}
    assert not wrong(tmp_path, *(fenced(*each) for each in right.items()))


@pytest.mark.parametrize(
    ("language", "source", "told"),
    [
        pytest.param("console", "$ echo three\none", "+three", id="another output"),
        pytest.param("console", "$ false", "ended with status 1", id="a failing command without output"),
        pytest.param("console", "$ echo one\none\n$ echo $?\n1", "+0", id="another status"),
        pytest.param("console", "echo one", "begins with", id="no prompt"),
        pytest.param("python", "assert 1 + 1 == 3", "AssertionError", id="a false assertion"),
        pytest.param("python", "import harness\nharness.chek", "AttributeError", id="a name that is not there"),
        pytest.param("yaml", "truncations: none", "did you mean 'truncation'", id="an unknown key"),
        pytest.param("yaml", "lengths: [6, 11]", "lengths", id="a value that cannot be"),
        pytest.param("yaml", "cell: peephole_lstm\ninputs: ones", "is for networks", id="a key of networks"),
        pytest.param("sh", "make reports", "no such target", id="no target"),
        pytest.param("sh", "harness rum", "no command 'rum'", id="no command"),
        pytest.param("sh", "harness run --implementation torch", "--implementation", id="no option"),
        pytest.param("sh", "harness list fault", "fault", id="no command of a group"),
    ],
)
def test_a_wrong_example_is_found_and_placed(tmp_path, language, source, told):
    (found,) = wrong(tmp_path, "text", fenced(language, source))
    assert f"{tmp_path}/page.md:5\n" in found
    assert told in found


def test_later_examples_are_run_after_one_that_fails(tmp_path):
    blocks = [fenced("python", "1 / 0"), fenced("python", "x = 1"), fenced("console", "$ echo a\nb")]
    assert len(wrong(tmp_path, *blocks)) == 2


def test_python_blocks_of_a_page_share_a_namespace(tmp_path):
    assert not wrong(tmp_path, fenced("python", "x = 1"), fenced("python", "assert x == 1"))


def test_a_file_is_written_and_not_run(tmp_path):
    file = "<!-- file: sub/wrong.py -->\n" + fenced("python", "1 / 0")
    assert not wrong(tmp_path, file, fenced("console", "$ cat sub/wrong.py\n1 / 0"))


def test_a_quotation_must_stand_in_its_file(tmp_path):
    quotation = "<!-- quoted: harness/candidate/templates/my_rnn.py -->\n"
    lines = "for t in reversed(range(T)):\n    d_a = (d_h[:, t] + from_after) * (1 - h[:, t + 1] ** 2)  # (B, H)"
    right = fenced("python", lines)
    assert not wrong(tmp_path, quotation + right)
    (found,) = wrong(tmp_path, quotation + right.replace("1 - h", "1 + h"))
    assert "does not stand in harness/candidate/templates/my_rnn.py" in found
