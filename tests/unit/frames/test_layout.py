"""Heads and frames are what they say, whatever happens to one copy of them."""

import zlib

import pytest
from harness.journals import BOOT, TABLE

from sidecar.frames.layout import (
    FAILURE,
    FRAME_BYTES,
    HEAD_BYTES,
    MAX_PAYLOAD_BYTES,
    UNKNOWN_CELL,
    Head,
    Kind,
    claims,
    decode_head,
    decode_subjects,
    decode_tally,
    encode_frame,
    encode_head,
    encode_subjects,
    encode_tally,
    is_failure,
    mark_bytes,
    mark_of,
    subject_of,
    take,
)

MARK = mark_of(0xA5B6C7D8)
HEAD = Head(slot=3, sequence=2**33, first_number=2**40, created_ns=2**60, boot=BOOT, mark=MARK)


def record(number, payload=b"payload"):
    return encode_frame(MARK, Kind.RECORD, 7, number, payload)


def test_a_head_says_what_it_was_told():
    assert decode_head(encode_head(HEAD)) == HEAD
    assert len(encode_head(HEAD)) == 2 * HEAD_BYTES


def test_whichever_byte_of_a_head_is_damaged_the_other_copy_tells():
    whole = encode_head(HEAD)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        assert decode_head(bytes(damaged)) == HEAD


def test_a_head_that_is_damaged_twice_or_cut_off_or_of_another_version_is_none():
    whole = bytearray(encode_head(HEAD))
    whole[20] ^= 1
    whole[HEAD_BYTES + 30] ^= 1
    assert decode_head(bytes(whole)) is None
    assert decode_head(encode_head(HEAD)[: HEAD_BYTES - 1]) is None
    other = bytearray(encode_head(HEAD)[: HEAD_BYTES - 4])
    other[8] = 2
    assert decode_head(2 * (bytes(other) + zlib.crc32(other).to_bytes(4, "little"))) is None


def test_frames_are_taken_up_to_the_first_that_is_not_whole():
    data = record(1) + record(2, b"") + record(3)[:-1]
    found, end = take(data, 0, MARK)
    assert found == [
        (0, Kind.RECORD, 7, 0, 1, b"payload"),
        (FRAME_BYTES + 7, Kind.RECORD, 7, 0, 2, b""),
    ]
    assert end == 2 * FRAME_BYTES + 7


def test_a_record_says_whether_a_model_failed():
    assert encode_frame(MARK, Kind.RECORD, 7 | FAILURE, 1, b"")[12:16] == bytes([7, 0, 1, 1])
    for subject in (7, 7 | FAILURE, 65_535, 65_535 | FAILURE):
        ((_, kind, found, flags, _, _),), _ = take(
            encode_frame(MARK, Kind.RECORD, subject, 1, b""), 0, MARK
        )
        assert (kind, found) == (Kind.RECORD, subject_of(subject))
        assert is_failure(flags) is (subject >= FAILURE)


def test_no_byte_of_a_frame_can_change_without_being_noticed():
    whole = record(5)
    for at in range(len(whole)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[at] ^= change
            assert take(bytes(damaged), 0, MARK) == ([], 0), (at, change)


def test_a_frame_of_another_segment_is_none_of_this():
    other = encode_frame(mark_of(1), Kind.RECORD, 7, 1, b"payload")
    forged = mark_bytes(MARK) + other[4:]  # knows the mark, but not that checksums start with it
    assert take(other, 0, MARK)[0] == []
    assert take(forged, 0, MARK)[0] == []


def test_no_more_is_taken_than_was_asked_for_but_always_one():
    data = b"".join(record(number) for number in range(10))
    assert len(take(data, 0, MARK, most=3)[0]) == 3
    assert len(take(data, 0, MARK, most_bytes=1)[0]) == 1
    assert len(take(data, 0, MARK, most_bytes=FRAME_BYTES + 8)[0]) == 2


def test_what_a_damaged_frame_claims_is_read_where_it_can_be_true():
    assert claims(record(9), 0, MARK) == (FRAME_BYTES + 7, 7, 9)
    assert claims(record(9), 1, MARK) is None
    assert claims(record(9)[: FRAME_BYTES - 1], 0, MARK) is None
    too_long = bytearray(record(9))
    too_long[8:12] = (MAX_PAYLOAD_BYTES + 1).to_bytes(4, "little")
    assert claims(bytes(too_long), 0, MARK) is None
    other_kind = bytearray(record(9))
    other_kind[14] = 9
    assert claims(bytes(other_kind), 0, MARK) is None


@pytest.mark.parametrize("random", [0, 0xFFFFFFFF, 0x00FF00FF])
def test_a_mark_never_looks_like_a_zeroed_block(random):
    assert 0 not in mark_bytes(mark_of(random))


def test_tables_and_tallies_come_back():
    assert decode_subjects(encode_subjects(TABLE)) == TABLE
    tally = encode_tally({0: 5, 2: 1, 9: 3, 10: 4}, TABLE)
    assert decode_tally(tally) == {TABLE[0]: 5, TABLE[2]: 1, UNKNOWN_CELL: 7}
