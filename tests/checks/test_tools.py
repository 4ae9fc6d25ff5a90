"""The small tools behind the make targets."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.contracts import inside
from tools.java import major

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("banner", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_411"', 8),
        ("Error: could not find libjava.so", None),
    ],
)
def test_java_major(banner: str, expected: int | None) -> None:
    assert major(banner) == expected


@pytest.mark.parametrize(
    ("pattern", "module", "expected"),
    [
        ("chfw_smi", "chfw_smi.store.hubs", "chfw_smi"),
        ("chfw_smi", "chfw_smile", None),
        ("chfw_*.domain", "chfw_smi.domain.rules", "chfw_smi.domain"),
        ("chfw_*.domain", "chfw_device_sim.edge.domain", None),
        ("chfw_*.*.domain", "chfw_device_sim.edge.domain", "chfw_device_sim.edge.domain"),
    ],
)
def test_patterns_of_import_contracts(pattern: str, module: str, expected: str | None) -> None:
    assert inside(pattern, module) == expected


SKIPS = {
    "a test": "import pytest\n\n\ndef test_x():\n    pytest.skip('no server')\n",
    "a mark": "import pytest\n\n\n@pytest.mark.skip\ndef test_x(): ...\n",
    "a module": "import pytest\n\npytest.skip('no server', allow_module_level=True)\n",
}


def _pytest(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_x.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tools.no_skips", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("text", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_is_red(tmp_path: Path, text: str) -> None:
    ran = _pytest(tmp_path, text)
    assert ran.returncode != 0, ran.stdout
    assert "lets nothing be skipped" in ran.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    ran = _pytest(tmp_path, "import pytest\n\n\n@pytest.mark.xfail(strict=True)\ndef test_x():\n    assert False\n")
    assert ran.returncode == 0, ran.stdout
    assert "1 xfailed" in ran.stdout
