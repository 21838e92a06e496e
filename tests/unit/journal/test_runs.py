"""Whatever a consumer asks a run for, it is of the same records."""

from collections import Counter

from harness.journals import TABLE, compiled_walk, write, writing

from sidecar.frames.layout import FRAME_BYTES, UNKNOWN_CELL
from sidecar.journal import FAILURE, START, Reader

RECORDS = [(n % 4 | FAILURE * (n % 5 == 0), b"record %d" % n) for n in range(50)]


def runs_of(directory):
    reader = Reader(directory, walk=compiled_walk())
    batch = reader.read(START)
    reader.close()
    return batch.runs


def test_entries_counts_and_failures_agree(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *RECORDS)
    (run,) = runs_of(tmp_path)
    entries = list(run.entries())

    assert [entry.payload for entry in entries] == run.payloads() == [one for _, one in RECORDS]
    assert [entry.number for entry in entries] == list(range(1, 51))
    assert [entry.subject | FAILURE * entry.failed for entry in entries] == [
        subject for subject, _ in RECORDS
    ]
    assert [entry.cell for entry in entries] == run.cells()
    assert run.cells() == [TABLE.get(n % 4, UNKNOWN_CELL) for n in range(50)]
    assert run.counts() == Counter(run.cells())
    assert list(run.failures()) == [entry for entry in entries if entry.failed]
    assert len(run) == 50
    assert run.payload_bytes == run.size_bytes - 50 * FRAME_BYTES
    assert run.payload_bytes == sum(map(len, run.payloads()))


def test_an_entry_says_where_its_record_stands(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *RECORDS)
        writer.finish()
        write(writer, *RECORDS[:3])
    for run in runs_of(tmp_path):
        content = (tmp_path / f"00/{run.segment:010d}.seg").read_bytes()
        for entry in run.entries():
            at = entry.offset + FRAME_BYTES
            assert content[at : at + len(entry.payload)] == entry.payload


def test_runs_end_where_a_segment_does(tmp_path):
    with writing(tmp_path) as writer:
        write(writer, *RECORDS)
        writer.finish()
        write(writer, *RECORDS[:3])
    assert [(run.segment, run.number, len(run)) for run in runs_of(tmp_path)] == [
        (1, 1, 50),
        (2, 51, 3),
    ]
