"""Only the committed jars are accepted."""

import hashlib
from pathlib import Path

import pytest

from chfw_cli.local.kafka_jars import (
    JarMismatchError,
    cache_directory,
    download_environment,
    expected_jars,
    verify,
)


@pytest.fixture
def jars(tmp_path: Path) -> dict[str, str]:
    """Two jars on disk, and the list that fits them."""
    for name in ("a.jar", "b.jar"):
        (tmp_path / name).write_text(f"content of {name}")
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in tmp_path.iterdir()}


def test_the_committed_list_has_one_version_of_kafka_and_its_logging() -> None:
    listed = expected_jars()
    assert len(listed) == 46
    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar", "log4j-slf4j-impl-2.25.4.jar"} <= listed.keys()
    assert [name for name in listed if name.startswith("kafka") and "4.3.1" not in name] == []
    assert {len(digest) for digest in listed.values()} == {64}


def test_the_very_jars_pass(tmp_path: Path, jars: dict[str, str]) -> None:
    verify(tmp_path.iterdir(), jars)


def test_a_changed_a_missing_and_an_added_jar_are_all_named(tmp_path: Path, jars: dict[str, str]) -> None:
    (tmp_path / "a.jar").write_text("something else")
    (tmp_path / "b.jar").unlink()
    (tmp_path / "c.jar").write_text("a stranger")
    with pytest.raises(JarMismatchError) as refused:
        verify(tmp_path.iterdir(), jars)
    text = str(refused.value)
    assert f"SHA-256 differs: {tmp_path / 'a.jar'}" in text
    assert "missing b.jar" in text
    assert f"not on the list: {tmp_path / 'c.jar'}" in text


def test_the_cache_is_the_users_own(tmp_path: Path) -> None:
    assert cache_directory({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "chfw"
    assert cache_directory({}) == Path.home() / ".cache" / "chfw"


def test_a_proxys_certificates_are_passed_on_unless_named_already() -> None:
    assert download_environment({"SSL_CERT_FILE": "a"})["REQUESTS_CA_BUNDLE"] == "a"
    assert download_environment({"SSL_CERT_FILE": "a", "REQUESTS_CA_BUNDLE": "b"})["REQUESTS_CA_BUNDLE"] == "b"
    assert "REQUESTS_CA_BUNDLE" not in download_environment({})
