"""Running a service live: real Kafka, real Postgres, HTTP; everything in one process, and the process is disposable.

Any task that fails unexpectedly ends the process with exit code 1: the supervisor starts it again, and Postgres knows
where it was.
"""

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from chfw_common.runtime import gauges
from chfw_common.runtime.audit.checkpoints import CheckpointError, CheckpointFile, KeyFileError, private_key
from chfw_common.runtime.audit.follow import Pace, follow_stream
from chfw_common.runtime.clock import Clock, PacedClock, RealClock, stopwatch
from chfw_common.runtime.consume import ConsumeCore
from chfw_common.runtime.database import Database
from chfw_common.runtime.errors import SchemaMissingError, SchemaOutOfDateError
from chfw_common.runtime.held import HeldPartitions, run_held
from chfw_common.runtime.http.app import Door, create_app
from chfw_common.runtime.http.budget import BodyBounds
from chfw_common.runtime.http.callers import TokenVerifier
from chfw_common.runtime.http.commands import Commands
from chfw_common.runtime.http.key_url import keys_of
from chfw_common.runtime.http.listener import Limits, Listener
from chfw_common.runtime.http.quotas import Admission, RequestQuota
from chfw_common.runtime.kafka.producer import KafkaProducer
from chfw_common.runtime.kafka.source import GATHER, KafkaSource
from chfw_common.runtime.logs import configure_logs
from chfw_common.runtime.metrics import Metrics
from chfw_common.runtime.migrations import require_current
from chfw_common.runtime.opening import (
    PasswordRefusedError,
    current_when_there,
    open_when_there,
    pace_when_there,
    place_of,
)
from chfw_common.runtime.outbox import Wake
from chfw_common.runtime.pieces import follow_wishes
from chfw_common.runtime.process import run_process
from chfw_common.runtime.relay import Relay, run_relay
from chfw_common.runtime.service import Service, Source
from chfw_common.runtime.settings import ServiceSettings
from chfw_common.runtime.source import SourceContext
from chfw_common.runtime.ticks import TickRunner, run_tick
from chfw_common.topology import CONTROL_LANE, LANES, schema_of

log = structlog.get_logger()

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)

SHUTDOWN_LIMIT = 8.0
RELAY_IDLE = timedelta(milliseconds=250)
STALE_AFTER = 30.0
"""Seconds without a fetch or an empty poll after which a source counts as stuck (aiokafka#1154)."""
KEPT_FREE = 4
"""Connections for bulk work that sources leave to requests, ticks and relays, however long their backlog is."""
CONTROL_CONNECTIONS = 8
"""The relay, the tries of held partitions, the source, two urgent ticks, two requests of operators, one to spare."""


class LiveService:
    """One process of one service."""

    def __init__(self, service: Service, settings: ServiceSettings) -> None:
        self._service = service
        self._settings = settings
        self._metrics = Metrics(service.name, service.consumes)
        self._tasks: dict[asyncio.Task[Any], str] = {}
        self._wake = Wake()
        self._contexts: list[SourceContext] = []
        self._database: Database | None = None
        self._stopping = False

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT (exit code 0) or until something fails (exit code 1)."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with contextlib.AsyncExitStack() as stack:
            opened = await self._until(stop, self._open(stack))
            if opened is None:
                return 0
            bulk, control, clock = opened
            self._start_all(bulk, control, clock, stack)
            code = await self._wait(stop)
            self._stopping = True
            loop.call_later(SHUTDOWN_LIMIT, os._exit, code)
            await self._end_tasks()
        return code

    async def _until(
        self, stop: asyncio.Event, work: Coroutine[Any, Any, tuple[Database, Database, Clock]]
    ) -> tuple[Database, Database, Clock] | None:
        """The result of the work, or None when the process is told to stop first."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            return task.result()
        task.cancel()
        return None

    async def _open(self, stack: contextlib.AsyncExitStack) -> tuple[Database, Database, Clock]:
        settings = self._settings
        dsn, name, patience = settings.database_dsn, self._service.name, RealClock()
        opening = functools.partial(
            open_when_there, dsn, name, password_file=settings.database_password_file, clock=patience,
            settings=settings.postgres(),
        )  # fmt: skip
        bulk = await opening(connections=settings.database_connections)
        stack.push_async_callback(bulk.close)
        control = await opening(connections=CONTROL_CONNECTIONS)
        stack.push_async_callback(control.close)
        await current_when_there(bulk, dsn, name, patience)
        # That of control: an orchestrator that asks must not wait behind the requests of Parties.
        self._database = control
        if settings.clock == "real":
            return bulk, control, RealClock()
        paced = PacedClock(await pace_when_there(bulk, dsn, patience))
        self._spawn("clock", paced.follow(bulk.pool))
        return bulk, control, paced

    def _start_all(self, bulk: Database, control: Database, clock: Clock, stack: contextlib.AsyncExitStack) -> None:
        service = self._service
        for lane in LANES:
            self._start_relay(lane, control if lane == CONTROL_LANE else bulk, clock, stack)
        for kind, database in ((Source.BULK, bulk), (Source.CONTROL, control), (Source.FAUST, bulk)):
            self._start_source(kind, database, clock)
        runners = {urgent: TickRunner(service, control if urgent else bulk, self._metrics) for urgent in (False, True)}
        for tick in service.ticks:
            self._spawn(f"tick {tick.name}", run_tick(runners[tick.urgent], tick, clock, self._wake))
        self._spawn("set aside", follow_wishes(bulk, service.ticks, clock))
        self._spawn("gauges", gauges.follow(service, bulk, clock, self._metrics))
        settings = self._settings
        verifier = TokenVerifier(
            keys_of(settings), issuer=settings.token_issuer, audience=settings.token_audience,
            leeway=settings.token_leeway,
        )  # fmt: skip
        for door, database in ((Door.PUBLIC, bulk), (Door.OPERATORS, control)):
            commands = Commands(database, clock, self._wake)
            admission = Admission(database, _quota(settings))
            self._spawn(f"http {door.value}", self._listener(door, commands, verifier, admission).serve())
        self._sign_the_audit_log(bulk, clock)

    def _start_relay(self, lane: int, database: Database, clock: Clock, stack: contextlib.AsyncExitStack) -> None:
        name = self._service.name
        producer, apart = (KafkaProducer(self._settings.kafka(), f"chfw-{name}-{lane}{what}") for what in ("", "-held"))
        for each in (producer, apart):
            stack.push_async_callback(each.discard)
        relay = Relay(name, lane, database, producer, self._metrics)
        self._spawn(f"relay {lane}", run_relay(relay, self._wake.of(lane), clock, RELAY_IDLE))
        held = HeldPartitions(name, lane, database, apart, self._metrics)
        self._spawn(f"held {lane}", run_held(held, relay.held, clock))

    def _start_source(self, kind: Source, database: Database, clock: Clock) -> None:
        service, settings = self._service, self._settings
        topics = [topic for topic, consume in service.consumes.items() if consume.source is kind]
        if not topics:
            return
        core = ConsumeCore(service, database, self._metrics)
        at_once = CONTROL_CONNECTIONS if kind is Source.CONTROL else max(1, settings.database_connections - KEPT_FREE)
        room = asyncio.Semaphore(at_once)
        context = SourceContext(core, database, self._metrics, clock, self._wake, room)
        self._contexts.append(context)
        access, instance = settings.kafka(), settings.instance
        if kind is Source.FAUST:
            # Faust costs every process a second and 20 MB to import; one service needs it.
            from chfw_common.runtime.faust_source import FaustSource  # noqa: PLC0415

            for topic in topics:
                group = f"chfw-{service.name}-{topic.name.replace('.', '-')}"
                source = FaustSource(context, topic, access=access, group=group, instance=instance)
                self._spawn(f"source {group}", source.run())
            return
        group = f"chfw-{service.name}-{kind.value}"
        gather = 0.0 if kind is Source.CONTROL else GATHER
        reader = KafkaSource(context, topics, access=access, group=group, instance=instance, gather=gather)
        self._spawn(f"source {group}", reader.run())

    def _sign_the_audit_log(self, database: Database, clock: Clock) -> None:
        settings = self._settings
        if settings.audit_key_file is None or settings.audit_checkpoint_file is None:
            log.warning("no checkpoints of the audit log are made: no key or no file for them", action="audit_unsigned")
            return
        key = private_key(settings.audit_key_file)
        file = CheckpointFile(settings.audit_checkpoint_file, schema_of(self._service.name), key)
        pace = Pace(settings.audit_checkpoint_records, settings.audit_checkpoint_interval)
        self._spawn("audit", follow_stream(database, file, pace, clock, self._metrics))

    def _listener(self, door: Door, commands: Commands, verifier: TokenVerifier, admission: Admission) -> Listener:
        settings = self._settings
        app = create_app(
            self._service,
            commands,
            verifier,
            self._metrics,
            self._why_not_ready,
            door=door,
            bounds=BodyBounds(settings.body_memory, settings.bodies_at_once),
            admission=admission,
            body_time=settings.body_time,
        )
        if door is Door.OPERATORS:
            most = settings.operator_connections
            limits = Limits(most, most, settings.head_time, settings.answer_time)
            return Listener(app, settings.operator_host, settings.operator_port, limits)
        limits = Limits(
            settings.http_connections, settings.http_connections_per_address, settings.head_time, settings.answer_time
        )
        return Listener(app, settings.http_host, settings.http_port, limits)

    async def _why_not_ready(self) -> str | None:
        if self._stopping or self._database is None:
            return "stopping"
        for context in self._contexts:
            if not context.progress:
                return "a source has not polled yet"
            if stopwatch() - min(context.progress.values()) > STALE_AFTER:
                return "a source makes no progress"
            stopped = context.stops.told()
            if stopped is not None:
                return stopped
        try:
            async with asyncio.timeout(2.0), self._database.transaction() as tx:
                await require_current(tx, self._service.name)
        except (SchemaMissingError, SchemaOutOfDateError) as error:
            return str(error)
        return None

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[asyncio.create_task(work, name=name)] = name

    async def _wait(self, stop: asyncio.Event) -> int:
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        failed = [task for task in done if task in self._tasks]
        for task in failed:
            log.critical(
                "a task ended, so the process does", action="process_ends", task=self._tasks[task],
                exc_info=task.exception(),
            )  # fmt: skip
        return 1 if failed else 0

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=SHUTDOWN_LIMIT / 2)


def _quota(settings: ServiceSettings) -> RequestQuota:
    return RequestQuota(
        settings.requests_per_minute,
        settings.requests_burst,
        settings.requests_at_once,
        settings.requests_per_minute_of,
    )


def main(build: Callable[[SettingsT], Service], settings: SettingsT, name: str) -> None:
    """Run a service as this process; does not return. Faust can hang while it stops, so after a limit we just end."""
    configure_logs(name, settings.log_format, settings.log_level)

    async def run() -> int:
        code = 1
        try:
            code = await LiveService(build(settings), settings).run()
        except (SchemaOutOfDateError, PasswordRefusedError, KeyFileError, CheckpointError) as error:
            where = place_of(settings.database_dsn)
            log.critical("the service cannot run", action="process_ends", server=where, error=str(error))
        except Exception as error:
            log.critical("the service cannot run", action="process_ends", exc_info=error)
        return code

    async def run_and_end() -> None:
        # Nothing is owed to anyone any more: threads of libraries must not keep the process.
        os._exit(await run())

    run_process(run_and_end())
