"""The entries of the fault gallery that a page shows."""

from benchmarks.gallery.recurrences import KINDS
from harness.diagnosis.sight import catalogue
from harness.report.gallery import SHOWN, entries


def test_each_fault_of_the_catalogue_has_an_entry_with_a_picture():
    found = entries()
    assert not catalogue().keys() - found.keys()
    for name, each in found.items():
        if name in KINDS and name not in catalogue():
            assert (each.file, each.picture) == (None, "")
            assert each.about
            continue
        assert each.file is not None, name
        assert each.file.stem.removeprefix("training-") == name
        assert each.about, name
        assert dict(each.facts).get("Wrong:") or each.file.stem.startswith("training-"), name
        assert {title for title, _ in each.facts} <= set(SHOWN), name


def test_an_entry_is_plain_text():
    entry = entries()["handed-on-before-slope"]
    texts = dict(entry.facts)
    assert texts["In place of:"].startswith("CellLayer.carry: ")
    assert "; CellLayer.of_inputs: " in texts["In place of:"]
    for each in entries().values():
        for _, text in each.facts:
            assert "`" not in text
            assert "**" not in text


def test_a_picture_is_a_data_uri():
    assert entries()["transposed"].picture.startswith("data:image/svg+xml;base64,PHN2")
