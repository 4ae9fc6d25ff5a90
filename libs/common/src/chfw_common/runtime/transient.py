"""Which failures mean "a server is away or busy": wait and try again. Everything else is somebody's bug."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from chfw_common.runtime.errors import TransientError

_TRANSIENT: tuple[type[BaseException], ...] = (
    TransientError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.ConnectionDoesNotExistError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    # A limit of the session ended the transaction (`LIMITS`): 25P03 when it was idle, 25P04 when it took too long.
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.TransactionTimeoutError,
    asyncpg.TooManyConnectionsError,
    # A new connection while the role's password is being changed; the file is read again for the next one.
    asyncpg.InvalidPasswordError,
    asyncpg.CannotConnectNowError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    # What asyncpg says when the server died in the middle of an exchange: the connection is of no more use.
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
    OSError,
)


def is_transient(error: BaseException) -> bool:
    """Whether the failure is one to wait out."""
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error) or "terminat" in str(error)
    return isinstance(error, _TRANSIENT)


@contextlib.asynccontextmanager
async def transient_as_error() -> AsyncIterator[None]:
    """Turn every transient failure inside into TransientError."""
    try:
        yield
    except Exception as error:
        if is_transient(error) and not isinstance(error, TransientError):
            raise TransientError(f"{type(error).__name__}: {error}") from error
        raise
