"""Entries are whole or not there, whatever happens to them; the longest unused make room."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from harness.execution.cache import Store, place
from harness.execution.cache.store import key_of, new_run

KEY = key_of(b"a question")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def entry(store, key=KEY):
    return store.folder / key[:2] / key


def test_what_is_put_is_what_is_got(store):
    assert store.get(KEY) is None
    store.put(KEY, [b"one", memoryview(b"two"), b""])
    assert bytes(store.get(KEY)) == b"onetwo"
    assert store.get(key_of(b"another")) is None


def test_keys_are_of_the_content_in_order():
    assert key_of(b"ab") == key_of(b"a", b"b")
    assert key_of(b"ab") != key_of(b"ba")


@pytest.mark.parametrize("at", [0, 10, 30, 60, -1], ids=lambda at: f"byte {at}")
def test_a_changed_byte_is_noticed_and_the_entry_dropped(store, at):
    store.put(KEY, [bytes(range(100))])
    content = bytearray(entry(store).read_bytes())
    content[at] ^= 1
    entry(store).write_bytes(content)
    assert store.get(KEY) is None
    assert not entry(store).exists()


@pytest.mark.parametrize("size", [0, 5, 50, 100], ids=lambda size: f"{size} bytes")
def test_an_entry_cut_short_is_noticed(store, size):
    store.put(KEY, [bytes(range(100))])
    os.truncate(entry(store), size)
    assert store.get(KEY) is None
    store.put(KEY, [b"anew"])
    assert bytes(store.get(KEY)) == b"anew"


@pytest.mark.parametrize("date", [0, 2**33], ids=["dated 1970", "dated in the future"])
def test_a_run_that_begins_anew_reads_its_own_entries_alone_whatever_their_dates(store, tmp_path, date):
    store.put(KEY, [b"old"])
    os.utime(entry(store), (date, date))
    run = new_run()
    anew = Store(tmp_path, run=run, own_alone=True)
    assert anew.get(KEY) is None
    assert bytes(store.get(KEY)) == b"old", "it stays for others"
    anew.put(KEY, [b"new"])
    os.utime(entry(store), (date, date))
    assert bytes(anew.get(KEY)) == b"new"
    assert bytes(Store(tmp_path, run=run, own_alone=True).get(KEY)) == b"new", "so does another process of the run"
    assert bytes(store.get(KEY)) == b"new"


def test_the_longest_unused_make_room(tmp_path):
    store = Store(tmp_path, limit=10_000)
    keys = [key_of(bytes([number])) for number in range(12)]
    for number, key in enumerate(keys):
        store.put(key, [bytes(1000)])
        os.utime(entry(store, key), (number, number))
    assert store.get(keys[0]) is not None  # used just now
    store.trim()
    left = [number for number, key in enumerate(keys) if entry(store, key).exists()]
    assert left == [0, *range(4, 12)]
    assert sum(each.stat().st_size for each in store.folder.rglob("*") if each.is_file()) <= 10_000


def test_a_use_in_the_future_protects_nothing(tmp_path):
    store = Store(tmp_path, limit=8500)
    keys = [key_of(bytes([number])) for number in range(10)]
    for number, key in enumerate(keys):
        store.put(key, [bytes(1000)])
        os.utime(entry(store, key), (2**33 if number == 9 else 1000 + number, 0))
    store.trim()
    assert [number for number, key in enumerate(keys) if entry(store, key).exists()] == [2, 3, 4, 5, 6, 7, 8]


def test_what_would_push_out_much_is_not_kept_and_counted(tmp_path):
    store = Store(tmp_path, limit=8000)
    store.put(KEY, [bytes(1001)])
    assert store.get(KEY) is None
    assert store.not_kept == {"an entry may have at most 1,000 bytes": 1}


def test_half_written_files_are_no_entries_and_go(store):
    store.put(KEY, [b"whole"])
    left = entry(store).with_name("half-written-x1")
    left.write_bytes(b"half")
    store.trim()
    assert left.exists(), "it may be at work still"
    os.utime(left, (0, 0))
    store.trim()
    assert not left.exists()
    assert bytes(store.get(KEY)) == b"whole"


@pytest.mark.parametrize("name", ["ab/thesis.tex", "notes/thesis.tex", f"ab/{KEY[:-1]}", f"zz/{KEY}", "half-written-x"])
def test_a_file_of_somebody_else_in_the_folder_stays(tmp_path, name):
    store = Store(tmp_path, limit=0)
    mine = store.folder / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    os.utime(mine, (0, 0))
    store.trim()
    assert mine.read_text() == "mine"
    assert store.contents() == (0, 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_a_full_disk_costs_no_more_than_the_entry(store, monkeypatch):
    def on_a_full_disk(prefix, dir):
        return os.open("/dev/full", os.O_WRONLY), str(dir / f"{prefix}scratch")

    monkeypatch.setattr("tempfile.mkstemp", on_a_full_disk)
    store.put(KEY, [bytes(100_000)])
    monkeypatch.undo()
    assert store.get(KEY) is None
    assert store.written == 0
    assert store.not_kept == {f"{store.folder.parent} cannot be written: No space left on device": 1}


def test_a_place_that_cannot_be_written_is_an_empty_store(tmp_path):
    (tmp_path / "file").write_text("no folder")
    store = Store(tmp_path / "file")
    store.put(KEY, [b"lost"])
    assert store.get(KEY) is None
    store.trim()


def put_and_get(folder, number):
    store = Store(folder, limit=40_000)
    for turn in range(40):
        content = bytes([number, turn]) * 300
        key = key_of(bytes([turn % 7]))
        store.put(key, [key.encode(), content])
        found = store.get(key)
        assert found is None or bytes(found[: len(key)]) == key.encode()
        store.trim()
    return True


def test_many_processes_share_a_store(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        assert all(pool.map(put_and_get, [tmp_path] * 4, range(4)))


def test_its_place_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    assert place() == tmp_path
    monkeypatch.delenv("HARNESS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of-the-user"))
    assert place().name == "bptt-harness"


def test_reading_leaves_when_an_entry_was_written_as_it_is(store):
    store.put(KEY, [b"content"])
    os.utime(entry(store), ns=(0, 1_700_000_000_123_456_789))
    assert store.get(KEY) == b"content"
    assert entry(store).stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert entry(store).stat().st_atime_ns > 0
