"""The patience that a server asks for, in seconds or as a date."""

import pytest

from sidecar.delivery.retry_after import retry_after_s

NOON_NS = 1_738_324_800_000_000_000  # Fri, 31 Jan 2025 12:00:00 GMT


@pytest.mark.parametrize(
    ("field", "wait_s"),
    [
        (None, 0.0),
        ("17", 17.0),
        (" 0 ", 0.0),
        ("Fri, 31 Jan 2025 12:00:30 GMT", 30.0),
        ("Fri, 31 Jan 2025 11:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-3", 0.0),
        ("1.5", 0.0),
        ("٣", 0.0),
        ("9" * 400, 999_999_999.0),
        ("Fri, 99 Jan 2025 12:00:30 GMT", 0.0),
    ],
)
def test_a_field_asks_for_a_wait(field, wait_s):
    assert retry_after_s(field, NOON_NS) == wait_s
