"""The supervisor with real processes: order, restarts, ends, and nothing left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from graphlib import CycleError

import pytest

from chfw_cli.local import proc
from chfw_cli.local.spec import Probe, ProcessSpec
from chfw_cli.local.state import StateDir
from chfw_cli.local.supervisor import StartError, Supervisor

pytest_plugins = ["tests.support.servers"]

FOREVER = "import time\nwhile True: time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\n{FOREVER}"
PARENT = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {FOREVER!r}], start_new_session=True)\n{FOREVER}"
)


def python(
    name: str, code: str, *, ready: Probe | None = None, after: tuple[str, ...] = (), ready_timeout: float = 20
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-S", "-c", code),
        ready=ready,
        after=after,
        ready_timeout=ready_timeout,
    )


async def eventually(condition: Callable[[], bool], limit: float = 15.0) -> None:
    async with asyncio.timeout(limit):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def log_of(state: StateDir, name: str, kind: str = "log") -> str:
    return (state.logs / f"{name}.{kind}").read_text()


def has_written(state: StateDir, name: str, text: str) -> Probe:
    async def look() -> bool:
        return text in log_of(state, name)

    return look


async def test_a_process_starts_when_those_before_it_are_ready(state_dir: StateDir) -> None:
    gate, order = asyncio.Event(), []

    async def first_ready() -> bool:
        return gate.is_set()

    async def second_ready() -> bool:
        order.append(gate.is_set())
        return True

    async with Supervisor(state_dir) as supervisor:
        specs = [python("b", FOREVER, ready=second_ready, after=("a",)), python("a", FOREVER, ready=first_ready)]
        starting = asyncio.create_task(supervisor.start_all(specs))
        await eventually(lambda: bool(supervisor.status()) and supervisor.pid("a") is not None)
        assert [status.name for status in supervisor.status()] == ["a"]
        gate.set()
        await starting
        assert order == [True]
        assert [(status.name, status.ready) for status in supervisor.status()] == [("a", True), ("b", True)]


async def test_a_ring_and_an_unknown_name_are_refused(state_dir: StateDir) -> None:
    async with Supervisor(state_dir) as supervisor:
        with pytest.raises(CycleError):
            await supervisor.start_all([python("a", FOREVER, after=("b",)), python("b", FOREVER, after=("a",))])
        with pytest.raises(ValueError, match="ghost"):
            await supervisor.start_all([python("a", FOREVER, after=("ghost",))])
        assert supervisor.status() == ()


async def test_a_killed_process_comes_back_and_is_counted(state_dir: StateDir) -> None:
    async with Supervisor(state_dir) as supervisor:
        await supervisor.start(python("worker", FOREVER))
        for count in (1, 2, 3):
            old = supervisor.pid("worker")
            assert old is not None
            began = time.monotonic()
            supervisor.kill("worker")
            await supervisor.wait_ready("worker")
            assert supervisor.pid("worker") not in {old, None}
            assert not proc.alive(old)
            assert supervisor.status()[0].restarts == count
            assert time.monotonic() - began < 3, "a kill from outside is no crash loop: it starts again at once"


async def test_a_process_that_dies_by_itself_waits_longer_each_time(state_dir: StateDir) -> None:
    async with Supervisor(state_dir) as supervisor:
        await supervisor.start(python("weak", "import sys; sys.exit(3)"))
        await eventually(lambda: log_of(state_dir, "weak").count("starts again in") >= 3)
        for delay in ("0.2", "0.4", "0.8"):
            assert f"ended with code 3; starts again in {delay} s" in log_of(state_dir, "weak")


async def test_a_process_that_never_gets_ready_is_given_up_with_its_last_words(state_dir: StateDir) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(state_dir) as supervisor:
        with pytest.raises(StartError, match="no such table"):
            await supervisor.start(python("bad", "import sys; sys.exit('no such table')", ready=never))
        with pytest.raises(StartError, match="not ready after 0 s"):
            await supervisor.start(python("slow", FOREVER, ready=never, ready_timeout=0.2))


async def test_a_program_that_does_not_exist_is_told(state_dir: StateDir) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(state_dir, restart=False) as supervisor:
        with pytest.raises(StartError, match="cannot start /no/such/program"):
            await supervisor.start(ProcessSpec(name="none", argv=("/no/such/program",), ready=never))


async def test_all_ends_within_ten_seconds_though_one_ignores_sigterm_and_one_is_stopped(state_dir: StateDir) -> None:
    supervisor = Supervisor(state_dir)
    await supervisor.start_all(
        [
            python("base", FOREVER),
            python("deaf", STUBBORN, ready=has_written(state_dir, "deaf", "deaf"), after=("base",)),
            python("frozen", FOREVER, after=("base",)),
        ]
    )
    supervisor.kill("frozen", signal.SIGSTOP)
    pids = [status.pid for status in supervisor.status()]
    began = time.monotonic()
    await supervisor.stop_all()
    assert time.monotonic() - began < 10
    assert not any(pid is not None and proc.alive(pid) for pid in pids)
    assert list(state_dir.pids.iterdir()) == []


async def test_those_that_depend_end_first(state_dir: StateDir) -> None:
    code = "import os, signal, sys, time\n" + textwrap.dedent("""
        def end(*_):
            open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
            os._exit(0)
        signal.signal(signal.SIGTERM, end)
        print("set", flush=True)
        while True: time.sleep(60)
    """)
    ends = state_dir.root / "ends"

    def spec(name: str, *after: str) -> ProcessSpec:
        argv = (sys.executable, "-S", "-c", code, str(ends), name)
        return ProcessSpec(name=name, argv=argv, ready=has_written(state_dir, name, "set"), after=after)

    async with Supervisor(state_dir) as supervisor:
        await supervisor.start_all([spec("db"), spec("service", "db"), spec("page", "service")])
    assert ends.read_text().split() == ["page", "service", "db"]


async def test_sigkill_takes_the_descendants_along(state_dir: StateDir) -> None:
    async with Supervisor(state_dir) as supervisor:
        await supervisor.start(python("parent", PARENT))
        pid = supervisor.pid("parent")
        assert pid is not None
        await eventually(lambda: len(proc.descendants(pid)) == 1)
        (below,) = proc.descendants(pid)
        supervisor.kill("parent")
        await eventually(lambda: not proc.alive(below))


async def test_memory_is_the_highest_over_restarts(state_dir: StateDir) -> None:
    marker = state_dir.root / "second"
    code = textwrap.dedent(f"""
        import os, time
        if not os.path.exists({str(marker)!r}):
            open({str(marker)!r}, "w").close()
            hold = b"x" * 80_000_000
        print("held", flush=True)
        while True: time.sleep(60)
    """)
    async with Supervisor(state_dir) as supervisor:
        await supervisor.start(python("hungry", code, ready=has_written(state_dir, "hungry", "held")))
        supervisor.kill("hungry")
        await supervisor.wait_ready("hungry")
        assert supervisor.peak_rss_mb()["hungry"] > 80
        assert supervisor.status()[0].rss_mb < 80


async def test_a_kill_9_of_the_supervisor_leaves_no_child(state_dir: StateDir) -> None:
    code = textwrap.dedent(f"""
        import asyncio, json, sys
        from pathlib import Path
        from chfw_cli.local.spec import ProcessSpec
        from chfw_cli.local.state import StateDir
        from chfw_cli.local.supervisor import Supervisor

        async def main():
            supervisor = Supervisor(StateDir(Path(sys.argv[1])))
            for name, code in (("a", {FOREVER!r}), ("deaf", {STUBBORN!r})):
                await supervisor.start(ProcessSpec(name=name, argv=(sys.executable, "-S", "-c", code)))
            while "deaf" not in (Path(sys.argv[1]) / "logs" / "deaf.log").read_text():
                await asyncio.sleep(0.01)
            print(json.dumps([status.pid for status in supervisor.status()]), flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
    """)
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(state_dir.root)), stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    pids = json.loads(await supervisor.stdout.readline())
    assert all(proc.alive(pid) for pid in pids)
    supervisor.kill()
    await supervisor.communicate()
    await eventually(lambda: not any(proc.alive(pid) for pid in pids))


async def test_every_line_reaches_the_echo_and_the_file_and_the_last_run_is_kept(state_dir: StateDir) -> None:
    seen: list[tuple[str, str]] = []
    code = f"import sys; print('one'); sys.stdout.write('no end'); sys.stdout.flush()\n{FOREVER}"
    for _ in range(2):
        async with Supervisor(state_dir, echo=lambda name, line: seen.append((name, line))) as supervisor:
            await supervisor.start(python("teller", code))
            await eventually(lambda: ("teller", "one") in seen)
    assert ("teller", "no end") in seen
    assert log_of(state_dir, "teller", "log.1").startswith("one\n")


async def test_children_are_no_part_of_the_terminal_session(state_dir: StateDir) -> None:
    async with Supervisor(state_dir) as supervisor:
        await supervisor.start(python("alone", FOREVER))
        pid = supervisor.pid("alone")
        assert pid is not None
        assert os.getsid(pid) == pid


async def test_a_process_that_is_ready_no_more_is_shown_so_until_it_is_again(state_dir: StateDir) -> None:
    works = True

    async def ready() -> bool:
        return works

    async with Supervisor(state_dir) as supervisor:
        await supervisor.start(python("one", FOREVER, ready=ready))
        assert [process.ready for process in supervisor.status()] == [True]
        works = False
        await eventually(lambda: [process.ready for process in supervisor.status()] == [False])
        works = True
        await eventually(lambda: [process.ready for process in supervisor.status()] == [True])
        assert [process.restarts for process in supervisor.status()] == [0]


async def test_a_patient_start_goes_on_with_a_process_that_runs_but_is_not_ready(state_dir: StateDir) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(state_dir) as supervisor:
        unready = python("one", FOREVER, ready=never, ready_timeout=0.5)
        await supervisor.start_all([unready, python("two", FOREVER)], patient=True)
        assert {process.name: process.ready for process in supervisor.status()} == {"one": False, "two": True}
        ends = python("three", "raise SystemExit(1)", ready=never, ready_timeout=10)
        with pytest.raises(StartError, match="ended"):
            await supervisor.start_all([ends], patient=True)
