"""Secrets and trust: read where they are, each time, and never quoted."""

import ssl

import pytest
from harness.certificates import Authority

from sidecar.config.sinks import ClientTls
from sidecar.delivery import Unavailable
from sidecar.delivery.sinks.credentials import client_context, secret


def test_a_secret_is_read_each_time(tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")
    assert secret("token", str(file), None, {}) == "first"

    file.write_text("second")
    assert secret("token", str(file), None, {}) == "second"


def test_a_secret_may_be_in_the_environment_or_nowhere():
    assert secret("token", None, "TOKEN", {"TOKEN": " x "}) == "x"
    assert secret("token", None, None, {}) is None


@pytest.mark.parametrize("content", [b"", b" \n", b"hidden\r\nInjected: 1", b"hidden\xff"])
def test_what_is_no_secret_is_waited_for_and_not_quoted(tmp_path, content):
    (tmp_path / "token").write_bytes(content)

    with pytest.raises(Unavailable, match="token") as failure:
        secret("token", str(tmp_path / "token"), None, {})

    assert "hidden" not in failure.value.reason


def test_a_server_is_verified_by_the_authorities_that_are_named(tmp_path):
    authority = Authority(tmp_path)

    context = client_context(ClientTls(ca_file=str(authority.ca)))

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_a_server_is_not_verified_only_when_that_is_asked_for():
    context = client_context(ClientTls(verify=False))

    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_a_certificate_that_cannot_be_used_is_waited_for(tmp_path):
    missing = str(tmp_path / "client.pem")

    with pytest.raises(Unavailable, match=r"client\.pem.*No such file"):
        client_context(ClientTls(cert_file=missing, key_file=missing))
