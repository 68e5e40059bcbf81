"""The fault gallery: every fault is in it, as the code has it; ``make gallery`` writes it anew."""

import re
from pathlib import Path

import pytest

from benchmarks.gallery import recurrences, trainings
from benchmarks.gallery.pages import file_of, pages
from benchmarks.gallery.picture import picture
from benchmarks.gallery.shown import gallery
from harness.diagnosis.faults import faults
from harness.diagnosis.sight import catalogue
from harness.diagnosis.training_faults import catalogue as catalogue_of_training
from harness.report.gallery import entries

FOLDER = Path("docs/faults")
RULES = "".join(path.read_text(encoding="utf-8") for path in Path("harness/diagnosis/recurrent").glob("*.py"))
STALE = "stale: `make gallery` writes it anew"
REDRAWN = ("carry-untransposed", "gate-gradient-missing", "overflowing-exponential", "outputs-past-ends", "transposed")
REDRAWN_TRAININGS = ("momentum", "ascends")


@pytest.fixture(scope="module", autouse=True)
def _at_the_root():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        yield


@pytest.fixture(scope="module")
def shown():
    return {each.name: each for each in gallery()}


@pytest.fixture(scope="module")
def of_training():
    return {each.name: each for each in trainings.trainings()}


@pytest.fixture(scope="module")
def written(shown, of_training):
    return pages(list(shown.values()), list(of_training.values()))


def sections(file):
    """The sections of a page, by heading."""
    parts = re.split(r"^## (.+)$", (FOLDER / file).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_page_is_what_the_code_says(written):
    assert {path.name for path in FOLDER.glob("*.md")} == written.keys(), STALE
    for name, text in written.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name} is {STALE}"


def test_every_kind_of_rule_is_broken_and_shows():
    shown = recurrences.shown_rules()
    kinds = set(re.findall(r'"([a-z-]+)"', "".join(re.findall(r"Rule\(\s*\"[a-z-]+\"", RULES)))) | {
        "dropped",
        "doubled",
        "sign",
    }
    assert kinds == recurrences.KINDS.keys()
    assert [each.kind for each in shown] == [kind for kind in recurrences.KINDS if kind != "branch"], "no `where` there"
    for each in shown:
        assert max(each.errors.values()) > 0.001, each.kind
        assert each.kind in entries(), "a report's page shows it"


def test_every_fault_is_there_with_its_explanation():
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    for name, about in catalogue().items():
        group = faults()[name].__module__.rpartition(".")[2] if name in faults() else "tensors"
        section = sections(file_of(group)).get(name, "")
        assert section.startswith(f"\n\n{about}\n"), f"{name}: {STALE}"
        assert f"](pictures/{name}.svg)" in section, name
        assert f"]({file_of(group)}#{name})" in index, name


def test_every_fault_of_a_training_is_there():
    there = sections("training.md")
    assert there.keys() == catalogue_of_training().keys(), STALE
    for name, about in catalogue_of_training().items():
        assert there[name].startswith(f"\n\n{about}\n"), STALE


def test_each_picture_is_of_a_fault_and_all_are_there(shown, of_training):
    wanted = {*shown, *(f"training-{each.name}" for each in of_training.values() if each.seen)}
    assert {path.stem for path in FOLDER.glob("pictures/*")} == wanted, STALE


def test_they_are_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 2_500_000


def test_every_link_leads_somewhere(written):
    for page, text in written.items():
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            assert (FOLDER / path).exists(), f"{page}: {target}"
            if anchor:
                headings = {each.lower().replace(" ", "-") for each in sections(path or page)}
                assert anchor in headings, f"{page}: {target}"


def same(drawn, kept):
    """Return whether two pictures are alike, a tenth of a point more or less."""
    number = re.compile(r"(?<![\w#/+])-?\d+(?:\.\d+)?")
    values = [[float(each) for each in number.findall(text)] for text in (drawn, kept)]
    apart = [abs(a - b) for a, b in zip(*values, strict=False)]
    return number.sub("0", drawn) == number.sub("0", kept) and max(apart) < 0.1


@pytest.mark.parametrize("name", REDRAWN)
def test_a_picture_is_what_the_fault_makes_of_the_case(shown, name):
    kept = (FOLDER / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert same(picture(shown[name]), kept), STALE
    assert not same(picture(shown["carry-missing"]), kept)


@pytest.mark.parametrize("name", REDRAWN_TRAININGS)
def test_a_picture_of_a_training_is_what_the_fault_makes_of_it(of_training, name):
    kept = (FOLDER / "pictures" / f"training-{name}.svg").read_text(encoding="utf-8")
    assert same(trainings.picture(of_training[name]), kept), STALE
    assert not same(trainings.picture(of_training["adam-moments-lost"]), kept)


def test_a_fault_is_shown_on_the_simplest_case_that_shows_it(shown):
    assert shown["carry-untransposed"].case.name == "rnn"
    assert shown["direct-path-missing"].case.cell == "gru"
    assert shown["truncation-left-out"].case.truncation != "none"
    assert shown["lengths-ignored"].case.lengths is not None


def test_what_is_wrong_is_told(shown):
    assert shown["initial-state-untransposed"].off == ("layer0.h0",)
    assert set(shown["readout-overwritten"].off) == {"readout.W_hy", "readout.b_y"}
    assert "outputs" in shown["another-activation"].off
