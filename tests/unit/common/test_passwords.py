"""Secret files, and what Postgres is told of a password."""

from pathlib import Path

import pytest

from chfw_common.runtime.kafka.access import KafkaAccess
from chfw_common.runtime.passwords import SecretError, read_secret, scram_verifier
from chfw_common.runtime.transient import is_transient


def secret(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    file = tmp_path / "secret"
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    ("text", "mode"), [("open-sesame\n", 0o600), ("open-sesame", 0o440), ("open-sesame\r\n", 0o400)]
)
def test_a_secret_is_one_line(tmp_path: Path, text: str, mode: int) -> None:
    assert read_secret(secret(tmp_path, text, mode)) == "open-sesame"


@pytest.mark.parametrize(
    ("text", "mode"),
    [("", 0o600), ("\n", 0o600), ("open-sesame\nand more\n", 0o600), ("open-sesame", 0o604), ("open-sesame", 0o602)],
)
def test_what_is_no_secret_is_refused_by_its_name_and_waited_for(tmp_path: Path, text: str, mode: int) -> None:
    file = secret(tmp_path, text, mode)
    with pytest.raises(SecretError, match=str(file)) as refused:
        read_secret(file)
    assert "sesame" not in str(refused.value)
    assert is_transient(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="none: the secret cannot be read"):
        read_secret(tmp_path / "none")


def test_the_verifier_is_the_one_of_the_rfc() -> None:
    """RFC 7677, 3: the example of SCRAM-SHA-256. Its client proof and server signature follow from these keys."""
    assert scram_verifier("pencil", b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81") == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_a_client_of_kafka_signs_in_with_what_the_file_holds_now(tmp_path: Path) -> None:
    access = KafkaAccess(bootstrap="host:1", username="chfw-smi", password_file=secret(tmp_path, "first"))
    assert access.client()["sasl_plain_password"] == "first"
    secret(tmp_path, "second")
    assert access.client()["sasl_plain_password"] == "second"
    assert "second" not in repr(access)


def test_over_tls_the_certificate_of_the_broker_is_checked(tmp_path: Path) -> None:
    access = KafkaAccess(
        bootstrap="host:1", username="chfw-smi", password_file=secret(tmp_path, "x"), security="SASL_SSL"
    )
    context = access.client()["ssl_context"]
    assert (access.client()["security_protocol"], context.check_hostname) == ("SASL_SSL", True)
