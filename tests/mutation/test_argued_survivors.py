"""The survivors that the documentation argues are mutants of the code as it is."""

import pytest

from benchmarks.mutation.mutants import mutants
from benchmarks.mutation.survivors import argued, gone, line_of, listed

SOURCE = """\
LIMIT = 3


class Base:
    def value(self, by=2):
        return max(
            by, LIMIT + 1  # at least
        )
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "mutated.py").write_text(SOURCE)
    return tmp_path


@pytest.fixture
def page(root):
    made = mutants(root / "mutated.py", "mutated.py")
    lines = [line_of(each.path, each.function, each.before, each.after, each.nth) for each in made]
    (root / "page.md").write_text("\n".join(["# Survivors", "", *lines, ""]))
    return root / "page.md"


def test_none_is_gone():
    assert list(gone()) == []
    assert len(argued()) == len(list(listed())), "one is listed twice"


def test_what_is_written_is_read(root, page):
    made = [each.name for each in mutants(root / "mutated.py", "mutated.py")]
    assert sorted(argued(page)) == sorted(made)
    assert len(made) > 8
    assert list(gone(page, root)) == []


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [("LIMIT + 1", "LIMIT + 2", "LIMIT + 1"), ("value", "worth", "by, LIMIT + 1"), ("Base", "Other", "by, LIMIT + 1")],
    ids=["code", "function", "class"],
)
def test_one_whose_code_was_changed_is_gone(root, page, old, new, lost):
    (root / "mutated.py").write_text(SOURCE.replace(old, new))
    assert any(lost in each for each in gone(page, root))


def test_one_whose_file_was_removed_is_gone(root, page):
    (root / "mutated.py").unlink()
    assert len(list(gone(page, root))) == len(list(listed(page)))


def test_a_line_that_cannot_be_read_is_an_error(root, page):
    page.write_text("# Survivors\n\n- `mutated.py`: 3 for 4\n")
    with pytest.raises(ValueError, match=r"page\.md:3"):
        list(listed(page))
