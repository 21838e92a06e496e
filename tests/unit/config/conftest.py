"""Configurations as text, loaded from a directory of their own, and the files they name."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from sidecar.config.load import Loaded, load
from sidecar.config.problems import InvalidConfig, Problem


@pytest.fixture
def load_text(tmp_path) -> Callable[..., Loaded]:
    """Load YAML text, as a file in a directory of its own, under an environment."""

    def load_text(text: str, **environ: str) -> Loaded:
        file = tmp_path / "sidecar.yaml"
        file.write_text(dedent(text), encoding="utf-8")
        return load(file, environ)

    return load_text


@pytest.fixture
def problems_of(load_text) -> Callable[..., list[Problem]]:
    """The problems of YAML text; there must be some."""

    def problems_of(text: str, **environ: str) -> list[Problem]:
        with pytest.raises(InvalidConfig) as refused:
            load_text(text, **environ)
        return list(refused.value.problems)

    return problems_of


@pytest.fixture
def directory(tmp_path) -> Path:
    """Where the file of `load_text` stands."""
    return tmp_path


@pytest.fixture
def pem_files(directory) -> Path:
    """The directory of the configuration, with a certificate, its key, and files that do not fit.

    cert.pem and key.pem belong together; other.pem is another key, locked.pem has a passphrase,
    text.pem is no PEM, empty.pem is empty.
    """
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )

    def pem(key: ec.EllipticCurvePrivateKey, encryption=None) -> bytes:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())

    (directory / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "key.pem").write_bytes(pem(key))
    (directory / "other.pem").write_bytes(pem(other))
    (directory / "locked.pem").write_bytes(pem(key, BestAvailableEncryption(b"secret")))
    (directory / "text.pem").write_text("not a certificate")
    (directory / "empty.pem").touch()
    return directory
