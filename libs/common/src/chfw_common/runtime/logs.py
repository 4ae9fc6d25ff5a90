"""Logs: one sentence, a stable `action`, and bound ids; JSON in containers."""

import logging
import sys
from typing import Literal

import structlog

from chfw_common.runtime.repeats import RepeatFilter

LIBRARIES = ("aiokafka", "faust", "mode", "uvicorn.access")


def configure_logs(service: str, style: Literal["json", "console"], level: str) -> None:
    """Send structlog and the standard library's loggers to standard error in one style."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Harmless at every rebalance (the group coordinator moves); our own alarms say when something is wrong.
    for noisy in LIBRARIES:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    handler.addFilter(_LibraryRepeats())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


class _LibraryRepeats(RepeatFilter):
    """Our own lines are all written: those of waiting loops are counted where they are made."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is to be written."""
        return not record.name.startswith(LIBRARIES) or super().filter(record)
