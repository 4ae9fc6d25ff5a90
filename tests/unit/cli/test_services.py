"""How the services are run."""

import functools
import stat
import sys
from pathlib import Path

import pytest

from chfw_cli.local.child import inherited
from chfw_cli.local.kafka import KafkaServer
from chfw_cli.local.postgres import PostgresServer
from chfw_cli.local.services import SERVICES, Surroundings, operator_url, service_spec, service_url
from chfw_cli.local.state import StateDir
from chfw_common.runtime.passwords import read_secret


def given(state: StateDir, **extra: str) -> Surroundings:
    """Servers that do not run."""
    postgres, kafka = PostgresServer(state, 25_432), KafkaServer(state, 29_092)
    return Surroundings(
        state=state,
        address=functools.partial(postgres.address, "chfw"),
        database_password_file=postgres.password_file,
        kafka=kafka.access,
        clock="paced",
        extra_env=extra,
    )


def test_a_service_is_told_its_role_its_user_its_port_and_the_clock(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    spec = service_spec("device-sim", given(state, CHFW_X="1"))
    assert spec.argv == (sys.executable, "-m", "chfw_device_sim")
    assert spec.env["CHFW_DATABASE_DSN"] == "postgresql://chfw_device_sim@127.0.0.1:25432/chfw"
    assert spec.env["CHFW_KAFKA_BOOTSTRAP"] == "127.0.0.1:29092"
    assert spec.env["CHFW_KAFKA_USERNAME"] == "chfw-device-sim"
    assert spec.env["CHFW_CLOCK"] == "paced"
    assert spec.env["CHFW_X"] == "1"
    assert service_url("device-sim", state) == f"http://127.0.0.1:{spec.env['CHFW_HTTP_PORT']}"
    assert operator_url("device-sim", state) == f"http://127.0.0.1:{spec.env['CHFW_OPERATOR_PORT']}"
    assert spec.after == ("postgres", "kafka")


def test_passwords_are_files_for_this_user_alone_and_in_no_environment(tmp_path: Path) -> None:
    specs = {service: service_spec(service, given(StateDir(tmp_path))) for service in SERVICES}
    named = [
        Path(spec.env[name])
        for spec in specs.values()
        for name in ("CHFW_DATABASE_PASSWORD_FILE", "CHFW_KAFKA_PASSWORD_FILE")
    ]
    assert len(set(named)) == 2 * len(SERVICES)
    assert {stat.S_IMODE(file.stat().st_mode) for file in named} == {0o600}
    assert {stat.S_IMODE(file.parent.stat().st_mode) for file in named} == {0o700}
    passwords = {read_secret(file) for file in named}
    assert len(passwords) == len(named)
    assert not passwords & {value for spec in specs.values() for value in spec.env.values()}


def test_a_service_gets_its_settings_and_nothing_else_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "CHFW_STATE", "JAVA_TOOL_OPTIONS"):
        monkeypatch.setenv(name, "of somebody else")
    monkeypatch.setenv("CHFW_LOG_LEVEL", "debug")
    told = {**inherited(), **service_spec("smi", given(StateDir(tmp_path))).env}
    assert "of somebody else" not in told.values()
    assert told["CHFW_LOG_LEVEL"] == "debug"


def test_each_of_the_six_has_two_ports_of_its_own(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    assert len({url(service, state) for service in SERVICES for url in (service_url, operator_url)}) == 12
