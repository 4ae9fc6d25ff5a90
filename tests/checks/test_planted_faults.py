"""Each rule that `make check` promises turns red when it is broken, and says where."""

from dataclasses import dataclass

import pytest

from tests.checks.conftest import Copy

SMI = "services/smi/src/chfw_smi/"
COMMON = "libs/common/src/chfw_common/"


@dataclass(frozen=True, slots=True)
class Fault:
    """One breach: planted in `path`, seen by `target`, which names `says` when that is not the path."""

    target: str
    path: str
    text: str
    says: str = ""


FAULTS = {
    "a service imports another": Fault("check-imports", SMI + "stages/planted.py", "import chfw_scheduler\n"),
    "a service imports the command line": Fault("check-imports", SMI + "planted.py", "import chfw_cli\n"),
    "common imports a service": Fault("check-imports", COMMON + "planted.py", "import chfw_smi\n"),
    "a driver in a domain": Fault("check-imports", SMI + "domain/planted.py", "import asyncpg\n"),
    "a driver in a domain, in a function": Fault(
        "check-imports", SMI + "domain/planted.py", "def f() -> None:\n    import aiokafka\n"
    ),
    "a driver in the domain of a room": Fault(
        "check-imports", "services/device-sim/src/chfw_device_sim/planted/domain/rule.py", "import faust\n"
    ),
    "pydantic in the kernel": Fault("check-imports", COMMON + "kernel/planted.py", "import pydantic\n"),
    "a domain imports the runtime": Fault("check-imports", SMI + "domain/planted.py", "import chfw_common.events\n"),
    "a lower layer imports a higher one": Fault(
        "check-imports", COMMON + "events/planted.py", "import chfw_common.topology\n"
    ),
    "a second door for Faust": Fault("check-imports", SMI + "planted.py", "import faust\n"),
    "the command line imports a service": Fault(
        "check-imports", "libs/cli/src/chfw_cli/planted.py", "import chfw_smi\n"
    ),
    "the oracle imports an event": Fault(
        "check-imports", "libs/cli/src/chfw_cli/demo/oracle.py", "\nimport chfw_common.events\n"
    ),
    "a clock in a domain": Fault(
        "check-tools", SMI + "domain/planted.py", "from time import monotonic as m\n\nSTARTED = m()\n"
    ),
    "the loop's clock in a domain": Fault(
        "check-tools", SMI + "domain/planted.py", "import asyncio\n\nT = asyncio.get_running_loop().time()\n"
    ),
    "a clock in the kernel": Fault(
        "check-tools", COMMON + "kernel/planted.py", "from datetime import UTC, datetime\n\nN = datetime.now(UTC)\n"
    ),
    "the calendar read in a stage": Fault(
        "check-tools", SMI + "stages/planted.py", "import datetime as d\n\nread = d.datetime.now\n"
    ),
    "now() in a statement": Fault(
        "check-tools", SMI + "store/planted.sql", "-- now() is fine here\nUPDATE hub SET seen = NOW ( );\n"
    ),
    "now() in a statement in Python": Fault(
        "check-tools",
        SMI + "store/planted.py",
        'SQL = "select 1 where current_timestamp > $1"\n\n\nasync def f(c):\n    await c.fetchval(SQL, 1)\n',
    ),
    "a generated id in common": Fault("check-tools", COMMON + "runtime/sql/planted.sql", "SELECT gen_random_uuid();\n"),
    "a URL in a requirements file": Fault(
        "check-tools", "requirements/dev.txt", "planted @ https" + "://example.invalid/planted.whl\n"
    ),
    "an index in a requirements file": Fault(
        "check-tools", "requirements/base.in", "--index-url https" + "://example.invalid/simple\n"
    ),
    "a path of one machine": Fault("check-tools", "docs/planted.md", "See `/" + "home/somebody/notes`.\n"),
    "the address of a registry": Fault("check-tools", "deploy/planted.yaml", "image: ghcr" + ".io/a/b:1\n"),
    "a long function": Fault("check-tools", "tools/planted.py", "def long() -> None:\n" + "    print()\n" * 60),
    "a long module": Fault("check-tools", "tools/planted.py", "pass\n" * 401),
    "a broad except": Fault(
        "check-tools", SMI + "stages/planted.py", "try:\n    pass\nexcept (OSError, Exception):\n    pass\n"
    ),
    "a gap between decisions": Fault("check-docs", "docs/adr/9999-planted.md", "# Planted\n"),
    "a broken link": Fault("check-docs", "docs/planted.md", "[gone](nowhere.md)\n"),
    "a link to no heading": Fault("check-docs", "docs/planted.md", "[gone](requirements.md#planted)\n"),
    "a missing test": Fault("check-docs", "docs/traceability.md", "| R1-1 | tests/unit/test_planted.py |\n"),
    "an unknown clause": Fault("check-docs", "docs/traceability.md", "| R9-99 | |\n"),
    "a misspelling": Fault("check-docs", "docs/planted.md", "It is rec" + "ieved.\n"),
    "bad layout": Fault("check-format", "tools/planted.py", "x = {  'a':1 }\n"),
    "an unused import": Fault("check-lint", "tools/planted.py", "import os\n"),
    "untidy YAML": Fault("check-lint", "deploy/planted.yaml", "a:   1\n"),
}


@pytest.mark.parametrize("target", sorted({fault.target for fault in FAULTS.values()}))
def test_the_tree_as_it_is_passes(copy: Copy, target: str) -> None:
    ran = copy.make(target)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_planted_fault_turns_red_and_is_named(copy: Copy, fault: Fault) -> None:
    with copy.planted(fault.path, fault.text):
        ran = copy.make(fault.target)
    assert ran.returncode != 0, ran.stdout
    assert (fault.says or fault.path) in ran.stdout


def test_a_folder_that_is_no_package_turns_red(copy: Copy) -> None:
    """Import contracts do not look into it, so it must not exist."""
    path = SMI + "planted/rule.py"
    with copy.planted(path, "RULE = 1\n"):
        (copy.root / path).with_name("__init__.py").unlink()
        ran = copy.make("check-tools")
    assert ran.returncode != 0, ran.stdout
    assert path in ran.stdout


def test_a_type_error_turns_red_and_is_named(copy: Copy) -> None:
    with copy.planted("tools/planted.py", 'def wrong() -> int:\n    return "a"\n'):
        ran = copy.make("check-types")
    assert ran.returncode != 0, ran.stdout
    assert "tools/planted.py:2" in ran.stdout
