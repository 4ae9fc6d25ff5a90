"""How the services are run."""

import sys
from pathlib import Path

from chfw_cli.local.services import SERVICES, Surroundings, operator_url, service_spec, service_url
from chfw_cli.local.state import StateDir


def test_a_service_is_told_its_role_its_port_and_the_clock(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    given = Surroundings(
        state=state, postgres_port=25_432, bootstrap="127.0.0.1:29092", clock="paced", extra_env={"CHFW_X": "1"}
    )
    spec = service_spec("device-sim", given)
    assert spec.argv == (sys.executable, "-m", "chfw_device_sim")
    assert spec.env["CHFW_DATABASE_DSN"] == "postgresql://chfw_device_sim@127.0.0.1:25432/chfw"
    assert spec.env["CHFW_KAFKA_BOOTSTRAP"] == "127.0.0.1:29092"
    assert spec.env["CHFW_CLOCK"] == "paced"
    assert spec.env["CHFW_X"] == "1"
    assert service_url("device-sim", state) == f"http://127.0.0.1:{spec.env['CHFW_HTTP_PORT']}"
    assert operator_url("device-sim", state) == f"http://127.0.0.1:{spec.env['CHFW_OPERATOR_PORT']}"
    assert spec.after == ("postgres", "kafka")


def test_each_of_the_six_has_two_ports_of_its_own(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    assert len({url(service, state) for service in SERVICES for url in (service_url, operator_url)}) == 12
