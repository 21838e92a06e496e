"""A thousand secrets, each planted once where a rule names it: none is in any form of a record."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from sidecar.payload import Body
from sidecar.records import (
    Captured,
    ColumnRule,
    How,
    PointerRule,
    RedactionRules,
    Redactor,
    Why,
    columns,
    encode,
    to_json,
)
from sidecar.records.naming import SECRET_HEADERS, SECRET_PARAMETERS

COUNT = 1000
KEY = bytes(range(16))
NAMES = ("age", "ssn", "income")


def tensor(name: str, shape: list[int], data: list) -> dict:
    return {"name": name, "datatype": "BYTES", "shape": shape, "data": data}


BODIES = (
    lambda s: {"inputs": [tensor("ssn", [1], [s]), tensor("age", [1], [3])]},
    lambda s: {"inputs": [tensor("x", [1, 3], [3, s, 9])]},
    lambda s: {"inputs": [tensor("x", [1, 3], [[3, s, 9]])], "parameters": {"ssn": s}},
    lambda s: {"instances": [{"age": 3, "ssn": s}]},
    lambda s: {"instances": [[3, s, 9]]},
    lambda s: {"inputs": {"age": [3], "ssn": [s], "income": [9]}},
    lambda s: {"dataframe_split": {"columns": list(NAMES), "data": [[3, s, 9]]}},
    lambda s: {"dataframe_records": [{"income": 9, "ssn": {"text": s}}]},
    lambda s: {"model": "m", "messages": [{"role": "user", "content": s}], "user": {"id": s}},
    lambda s: f"age,ssn,income\n3,{s},9\n",
    lambda s: f"3,{s},9\n",
    lambda s: f'{{"ssn": "{s}"',  # broken: not kept at all
    lambda s: f"plain text with {s}",
)


def planted(redactor: Redactor) -> Iterator[tuple[str, Captured]]:
    """Secrets, and what is captured of the exchange each is planted in."""
    for number in range(COUNT):
        secret = f"S3CRET{number:04}x{number * 7919:08x}"
        header = SECRET_HEADERS[number % len(SECRET_HEADERS)].title()
        parameter = SECRET_PARAMETERS[number % len(SECRET_PARAMETERS)].upper()
        made = BODIES[number % len(BODIES)](secret)
        is_csv = isinstance(made, str) and "," in made and not made.startswith("{")
        body = Body(
            (made if isinstance(made, str) else json.dumps(made)).encode(),
            content_type=b"text/csv" if is_csv else b"application/json",
        )
        request = redactor.request_body(body, 1 << 16, names=NAMES, expected=True)
        answer = redactor.response_body(Body(json.dumps({"echo": {"ssn": secret}}).encode()), 100)
        yield (
            secret,
            Captured(
                why=Why.FAILED,
                request_headers=redactor.headers([(header, secret), ("Accept", "*/*")]),
                query=redactor.query(f"a=1&{quote(parameter)}={quote(secret)}&b=2"),
                request_body=request.data,
                request_withheld=request.withheld,
                response_headers=redactor.headers([("Set-Cookie", f"session={secret}")]),
                response_body=answer.data,
                redacted=request.redacted,
            ),
        )


@pytest.mark.parametrize("how", How)
def test_none_is_in_any_form_of_a_record(varied, how):
    redactor = Redactor(
        RedactionRules(
            columns=(ColumnRule(name="ssn"),),
            pointers=(PointerRule(pointer="/messages/*/content"), PointerRule(pointer="/user/id")),
            how=how,
        ),
        KEY,
    )
    kept = 0

    for secret, captured in planted(redactor):
        record = varied(captured=captured)
        forms = [encode(record), to_json(record), repr(record).encode()]
        forms += [repr(column.of(record)).encode() for column in columns()]
        assert not any(secret.encode() in form for form in forms), captured.request_body
        kept += captured.request_body is not None

    # All but the two kinds of body that cannot be read: redaction is not the loss of everything.
    assert kept == sum(number % len(BODIES) < len(BODIES) - 2 for number in range(COUNT))
