"""A compressed segment is read as it was, and what cannot be compressed stays as it is."""

import os
import sys

import pytest
from harness.journals import entries_of, numbered, payloads, read_all, write, writing

from sidecar.errors import ConfigError
from sidecar.journal import START, Reader, compress, read, survey

pytest.importorskip("zstandard")


@pytest.fixture
def journal(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *numbered(2000, size=900))
        writer.finish()
        write(writer, *numbered(100, first=2000))
    return tmp_path


def test_a_compressed_segment_reads_as_before_and_keeps_its_age(journal):
    before = [(one.offset, one.payload) for one in entries_of(read_all(journal))]
    first = survey(journal)[0]
    saved = compress(first)
    after = survey(journal)[0]
    assert after.path.name == "0000000001.seg.zst"
    assert not first.path.exists()
    assert saved == first.size_bytes - after.size_bytes > 1_000_000
    assert after.ended_ns == first.ended_ns
    assert [(one.offset, one.payload) for one in entries_of(read_all(journal))] == before


def test_a_consumer_in_the_middle_of_a_segment_does_not_notice(journal):
    reader = Reader(journal)
    batch = reader.read(START, max_records=700)
    compress(survey(journal)[0])
    numbers = [one.number for one in batch.entries]
    for other in (reader, Reader(journal)):
        rest = other.read(batch.next, max_records=5000, max_bytes=10**8)
        assert numbers + [one.number for one in rest.entries] == list(range(1, 2101))
        other.close()


def test_a_compressed_segment_is_not_compressed_again(journal):
    compress(survey(journal)[0])
    assert compress(survey(journal)[0]) == 0
    assert len(payloads(journal)) == 2100


def test_what_a_full_disk_does_not_take_stays_uncompressed(journal, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            compress(survey(journal)[0])
    assert [path.name for path in sorted((journal / "00").iterdir())] == [
        "0000000001.seg",
        "0000000002.seg",
    ]


def test_damage_of_a_compressed_segment_loses_what_follows_in_it_and_counts(journal):
    compress(survey(journal)[0])
    path = survey(journal)[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    batches = read_all(journal)
    found = entries_of(batches)
    assert [one.number for one in found][-100:] == list(range(2001, 2101))
    assert len(found) + sum(sum(one.corrupt.values()) for one in batches) == 2100
    assert all(b"record %05d " % (one.number - 1) == one.payload[:13] for one in found)


def test_going_back_in_a_compressed_segment_starts_over(journal):
    compress(survey(journal)[0])
    reader = Reader(journal)
    reader.read(START, max_records=1500, max_bytes=10**8)
    assert reader.read(START, max_records=1).entries[0].number == 1
    reader.close()


def test_without_zstandard_the_error_says_what_to_install(journal, monkeypatch):
    compress(survey(journal)[0])
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigError, match=r"pip install 'model-sidecar\[zstd\]'"):
        read(journal, START)
    with pytest.raises(ConfigError, match="zstd"):
        compress(survey(journal)[1])
