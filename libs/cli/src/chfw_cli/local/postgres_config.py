"""The settings of the local Postgres, by profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of settings on top of the common ones."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)


DEMO = Profile(
    "demo",
    {
        "shared_buffers": "512MB",
        "effective_cache_size": "2GB",
        "max_wal_size": "4GB",
        "synchronous_commit": "on",
        "fsync": "on",
    },
)
"""Everything a commit promises holds, also through `kill -9` and loss of power."""

UNSAFE_FAST = Profile(
    "unsafe_fast",
    {
        "shared_buffers": "128MB",
        "max_wal_size": "1GB",
        "synchronous_commit": "off",
        "fsync": "off",
        "full_page_writes": "off",
    },
)
"""For tests that throw the data away. A crash of the machine may ruin it; no test of durability may use it."""

_COMMON: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    # Loopback only: a socket's path may be at most 107 characters, which a state directory may exceed.
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    # Plans stay the same on any number of processors, and none needs much /dev/shm (64 MB in a container).
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "autovacuum_naptime": "10s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


_HBA = """\
# Nobody without a password, and nobody but these: the superuser, and the roles of the services. No replication.
host all {superuser} 127.0.0.1/32 scram-sha-256
host all +chfw_services 127.0.0.1/32 scram-sha-256
"""


def pg_hba_conf(superuser: str) -> str:
    """The whole text of pg_hba.conf."""
    return _HBA.format(superuser=superuser)


def postgresql_conf(profile: Profile, *, port: int, preload: tuple[str, ...], hba: Path) -> str:
    """The whole text of postgresql.conf."""
    own = {"port": str(port), "shared_preload_libraries": ",".join(preload), "hba_file": str(hba)}
    settings = {**_COMMON, **profile.settings, **own}
    lines = (f"{name} = '{value}'" for name, value in settings.items())
    return "\n".join((f"# Profile {profile.name}; written anew at every start.", *lines, ""))
