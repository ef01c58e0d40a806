"""What a server shows as its certificate is read or is a CertificateError, and nothing else."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.shell.doctor.certificate import CertificateError, CertificateFacts, read_certificate
from broker.shell.tls import make_demo_certificate


@pytest.fixture(scope="module")
def der(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("certificate")
    certificate, _ = make_demo_certificate(folder, ["edge.example", "192.0.2.1"])
    return ssl.PEM_cert_to_DER_cert(certificate.read_text())


def outcome(data: bytes) -> CertificateFacts | None:
    try:
        return read_certificate(data)
    except CertificateError:
        return None


@given(st.binary(max_size=200))
def test_of_bytes_that_are_no_certificate(data: bytes) -> None:
    assert outcome(data) is None


@given(data=st.data())
def test_of_a_certificate_in_which_bytes_were_changed(der: bytes, data: st.DataObject) -> None:
    spoiled = bytearray(der)
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    outcome(bytes(spoiled))


def test_of_one_that_is_whole(der: bytes) -> None:
    found = outcome(der)
    assert found is not None
    assert found.hosts == ("edge.example", "192.0.2.1")
    assert found.signed_by_itself
