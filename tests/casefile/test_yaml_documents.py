"""YAML 1.2 to plain data with places, and what is refused."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.casefile import Document, MistakesFound, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-7", 1e-7),
        ("1.", 1.0),
        (".5", 0.5),
        ("-0.0", -0.0),
        ("+3", 3),
        ("0x1F", 31),
        ("0o17", 15),
        ("010", 10),
        ("1_000", "1_000"),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("", None),
        (".inf", float("inf")),
        ("-.inf", float("-inf")),
        ("'3'", "3"),
        ('"true"', "true"),
        ("2026-11-21", "2026-11-21"),
        ("12:30:00", "12:30:00"),
        ("1e400", float("inf")),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says(text, value):
    found = parse(f"key: {text}\n", "file").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_every_value_and_key_has_its_place():
    document = parse("a: 1\nlist:\n  - x\n  - {b: 2,   c: [3, 4]}\n", "file")

    def place(path, **options):
        mistake = document.mistake(path, "", **options)
        return mistake.line, mistake.column

    assert place(("a",)) == (1, 4)
    assert place(("a",), at_key=True) == (1, 1)
    assert place(("list", 0)) == (3, 5)
    assert place(("list", 1, "c", 1)) == (4, 21)
    assert place(("list", 1, "c"), at_key=True) == (4, 14)
    assert place(("list", 1, "missing", "deep")) == (4, 5), "what is missing is located at what is around it"


def test_a_scalar_keeps_the_text_that_it_was_written_with():
    document = parse("a: 1e-7\nb: [0.10, {c: '2'}]\n", "file")
    assert document.text(("a",)) == "1e-7"
    assert document.text(("b", 0)) == "0.10"
    assert document.text(("b", 1, "c")) == "2"
    assert document.text(("b",)) is None


REFUSED = {
    "duplicate_key": ("a: 1\nb: 2\na: 3\n", 3, 1, "'a' is already there, in line 1"),
    "duplicate_key_in_flow": ("x: {a: 1, a: 2}\n", 1, 11, "'a' is already there"),
    "anchor": ("a: &b 1\n", 1, 4, "anchors"),
    "alias": ("a: *b\n", 1, 4, "aliases"),
    "tag": ("a: !!python/object/apply:os.system ['true']\n", 1, 4, "tags"),
    "merge_key": ("a:\n  <<: {b: 1}\n", 2, 3, "merge keys"),
    "second_document": ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
    "mapping_as_key": ("a: 1\n{b: 1}: 2\n", 2, 1, "a key must be a plain word"),
    "list_as_key": ("[1]: 2\n", 1, 1, "a key must be a plain word"),
    "too_deep": ("[" * 40, 1, 33, "nested more than 32 deep"),
    "far_too_deep": ("[" * 200_000, 1, 33, "nested more than 32 deep"),
    "unfinished": ("a: [1, 2\nb: 3\n", 2, 2, "not valid YAML"),
    "tab": ("a:\n\tb: 1\n", 2, 1, "not valid YAML"),
    "control_character": ("b: 1\na: x\x00\n", 2, 5, "the character \\x00 is not allowed"),
    "escape_in_a_terminal": ("a: x\x1b[2J\n", 1, 5, "the character \\x1b is not allowed"),
    "half_a_character": ("a: 'x\ud800'\n", 1, 6, "the character \\ud800 is not allowed"),
    "half_a_character_as_bytes": (b"b: 1\na: 'x\xed\xa0\x80'\n", 2, 6, "not UTF-8 text"),
    "nul_by_escape": ('a: {b: 1, c: "x\\0"}\n', 1, 14, "the character \\x00 is not allowed"),
    "nul_by_escape_in_a_key": ('a: {b: 1, "x\\0": 1}\n', 1, 11, "the character \\x00 is not allowed"),
    "bell_by_escape": ('- "x\\a"\n', 1, 3, "the character \\x07 is not allowed"),
    "no_character": ('a: "\\uffff"\n', 1, 4, "the character \\uffff is not allowed"),
    "long_text": (f"a: 1\nb: {'x' * 10_001}\n", 2, 4, "a text of 10,001 letters; a key or value may have 10,000"),
    "long_key": (f"{'x' * 10_001}: 1\n", 1, 1, "a text of 10,001 letters"),
    "long_folded_text": ("a: >\n" + "  x y z\n" * 3000, 1, 4, "letters; a key or value may have"),
    "not_utf8": (b"a: \xff\xfe\xfd\n", 1, 4, "not UTF-8 text"),
    "latin1": ("a: 1\nb: été\n".encode("latin-1"), 2, 4, "not UTF-8 text"),
    "empty": ("", None, None, "empty"),
    "only_a_comment": ("# nothing\n", None, None, "empty"),
}


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(("text", "line", "column", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_located(text, line, column, words, loader, monkeypatch):
    """Run a test with PyYAML as it is built with libyaml, and without."""
    monkeypatch.setattr("yaml.CSafeLoader", getattr(yaml, loader))
    with pytest.raises(MistakesFound) as found:
        parse(text, "cases/x.yaml")
    (mistake,) = found.value.mistakes
    assert (mistake.file, mistake.line, mistake.column) == ("cases/x.yaml", line, column)
    assert words in mistake.problem


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_half_a_character_by_escape_is_refused_in_its_line(loader, monkeypatch):
    monkeypatch.setattr("yaml.CSafeLoader", getattr(yaml, loader))
    with pytest.raises(MistakesFound) as found:
        parse('a: 1\nabout: "\\ud800"\n', "file")
    (mistake,) = found.value.mistakes
    assert mistake.line == 2
    assert mistake.column >= 8
    assert str(mistake).isprintable()


def test_utf16_with_its_mark_is_read():
    assert parse("a: é\n".encode("utf-16"), "file").data == {"a": "é"}


def test_a_file_that_is_too_large_is_not_parsed(monkeypatch):
    monkeypatch.setattr("harness.casefile.document.MAX_BYTES", 10)
    with pytest.raises(MistakesFound, match="12 bytes"):
        parse("a: 123456789", "file")


@settings(max_examples=400, deadline=None)
@given(text=st.text(max_size=60) | st.binary(max_size=60) | st.text("{}[]:,-&*!|>'\"%@`#?\n \ta1.", max_size=40))
def test_anything_at_all_is_parsed_or_refused(text):
    try:
        parsed = parse(text, "file")
    except MistakesFound as found:
        (mistake,) = found.mistakes
        parsed = None
    assert isinstance(parsed, Document) or "\n" not in str(mistake)


texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts.filter("<<".__ne__), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(data=plain)
def test_json_is_read_as_what_it_says(data):
    """YAML 1.2 contains JSON."""
    assert parse(json.dumps({"data": data}), "file").data["data"] == data
