"""A file among case files that cannot be read is a mistake; nothing meant for a case is passed over."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from harness.case import find, load
from harness.casefile.document import MAX_BYTES

SIZES = "sizes: {batch: 2, time: 3, input: 4, hidden: 5}\n"


@pytest.fixture
def cases(tmp_path, monkeypatch):
    """A folder with one good case, which must be there whatever else is."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "good.yaml").write_text(SIZES)
    return folder


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


ODD = {
    "a link that leads nowhere": ("odd.yaml", lambda path: path.symlink_to("gone.yaml"), "is a link to gone.yaml"),
    "a link to itself": ("odd.yaml", lambda path: path.symlink_to("odd.yaml"), "is a link that leads back to itself"),
    "a pipe": ("odd.yaml", os.mkfifo, "is a pipe, and no file"),
    "a socket": ("odd.yaml", a_socket, "is a socket, and no file"),
    "a link to a device": ("odd.yaml", lambda path: path.symlink_to("/dev/zero"), "is a device, and no file"),
    "another suffix": ("odd.yml", lambda path: path.write_text(SIZES), "rename it to odd.yaml"),
    "a suffix in capitals": ("odd.YAML", lambda path: path.write_text(SIZES), "rename it to odd.yaml"),
    "a suffix and no name": (".yaml", lambda path: path.write_text(SIZES), "has no name before .yaml; ren"),
    "another suffix and no name": (".YML", lambda path: path.write_text(SIZES), "has no name before .YML"),
    "a blank behind": ("odd.yaml ", lambda path: path.write_text(SIZES), "ends in '.yaml ', but a case file"),
    "a tab and a point behind": ("odd.yml.\u2003", lambda path: path.write_text(SIZES), "rename it to odd.yaml"),
    "a pipe with another suffix": ("odd.yml", os.mkfifo, "rename it to odd.yaml"),
    "a folder that is gone": ("odd", lambda path: path.symlink_to("/nowhere/cases"), "is a link to /nowhere/cases"),
    "a loop of folders": ("odd", lambda path: path.symlink_to("../cases"), "is a link to a folder that it lies in"),
    "a link to the folder above": ("odd", lambda path: path.symlink_to(".."), "is a link to a folder that it lies in"),
    "a file of gigabytes": ("odd.yaml", lambda path: sparse(path), f"has more than {MAX_BYTES:,} bytes"),
}  # fmt: skip


def sparse(path):
    path.touch()
    os.truncate(path, 2**36)


@pytest.mark.parametrize(("name", "make", "words"), ODD.values(), ids=ODD)
def test_it_is_a_mistake_and_costs_no_other_case(cases, name, make, words):
    make(cases / name)
    loaded = load([])
    assert [case.name for case in loaded.cases] == ["good"]
    (mistake,) = loaded.mistakes
    assert mistake.file == f"cases/{name}"
    assert words in str(mistake)
    assert mistake.hint, "what to do is said"
    if name.endswith(("yaml", "yml")):
        assert load([f"cases/{name}"]).mistakes == [mistake], "the same where it is named"


@pytest.mark.slow
@pytest.mark.parametrize("name", [b"a\xff.yaml", b"a\nb.yaml", b"\x1b[2J.yaml", b"a\xff/x.yaml"], ids=repr)
def test_a_name_that_cannot_be_printed_is_refused_and_shown(cases, name):
    path = os.path.join(os.fsencode(cases), name)  # noqa: PTH118 - Path has no bytes
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    with open(path, "w") as file:  # noqa: PTH123
        file.write(SIZES)
    done = subprocess.run([sys.executable, "-m", "harness", "validate"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line, count) = done.stdout.splitlines()
    assert "its name is not UTF-8, or has a control character or a line break; rename it" in line
    assert line.isprintable()
    assert count == "Failed: 1 valid case, 1 mistake."


def test_other_files_stay_silent(cases):
    for name in ("README.md", "arrays.npz", "notes.txt", "old.yaml.bak", "Makefile"):
        (cases / name).write_text("nothing of ours")
    (cases / "gone.npz").symlink_to("nowhere.npz")
    (cases / ".#good.yaml").symlink_to("somebody@somewhere.4711")  # which Emacs makes
    loaded = load([])
    assert loaded.mistakes == []
    assert [case.name for case in loaded.cases] == ["good"]


def test_links_to_folders_are_followed_to_each_once(cases, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "far.yaml").write_text(SIZES)
    (cases / "real").mkdir()
    (cases / "real" / "near.yaml").write_text(SIZES)
    (cases / "a-link").symlink_to("real")
    (cases / "linked").symlink_to(outside)
    (cases / "linked-again").symlink_to(outside)
    loaded = load([])
    assert loaded.mistakes == []
    assert sorted(case.name.rpartition("/")[2] for case in loaded.cases) == ["far", "good", "near"]
    assert "real/near" in [case.name for case in loaded.cases], "by the path without links"


def test_links_that_multiply_are_looked_through_once(cases):
    for depth in range(40):
        level = cases / f"level{depth}"
        level.mkdir()
        for name in ("a", "b"):
            (level / name).symlink_to(f"../level{depth + 1}")
    (cases / "level40").mkdir()
    assert len(find(cases)) == 1


def test_a_file_whose_name_has_brackets_is_no_combination(cases):
    (cases / "odd[1].yaml").write_text(SIZES + "sweep: {sizes.time: [1, 2]}\n")
    assert len(load(["odd[1]"]).cases) == 2
    assert [case.name for case in load(["odd[1][sizes.time=2]"]).cases] == ["odd[1][sizes.time=2]"]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "good.yaml/x", ""], ids=["long", "NUL", "below a file", "empty"])
def test_a_name_that_no_file_can_have_is_one_that_is_not_there(cases, name):
    os.chdir("/")
    (mistake,) = load([name or "cases/"]).mistakes
    assert "there is no such file, folder or case" in mistake.problem


def without_permission(*command):
    """Run a command that must ask for permission, which root need not."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("nothing is forbidden to root, and there is no setpriv to change that")
        command = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command)
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_file_and_a_folder_without_permission(cases):
    (cases / "secret.yaml").write_text(SIZES)
    (cases / "secret.yaml").chmod(0)
    (cases / "closed").mkdir()
    (cases / "closed" / "x.yaml").write_text(SIZES)
    (cases / "closed").chmod(0)
    try:
        done = without_permission(sys.executable, "-m", "harness", "validate")
        named = without_permission(sys.executable, "-m", "harness", "validate", "cases/closed/x.yaml")
    finally:
        (cases / "closed").chmod(0o700)
    assert "cases/closed: cannot be looked into: Permission denied; chmod u+rx" in done.stdout
    assert "cases/secret.yaml: cannot be read: Permission denied; chmod u+r" in done.stdout
    assert "1 valid case, 2 mistakes" in done.stdout
    assert "cases/closed/x.yaml: cannot be read: Permission denied" in named.stdout
    assert done.returncode == named.returncode == 2
    assert "Traceback" not in done.stderr + named.stderr
