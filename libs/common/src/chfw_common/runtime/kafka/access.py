"""How a client reaches Kafka, and who it is there: SASL/SCRAM always, over TLS where the cluster has it."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chfw_common.runtime.passwords import read_secret

MECHANISM = "SCRAM-SHA-512"

Security = Literal["SASL_PLAINTEXT", "SASL_SSL"]
"""Both authenticate with SCRAM, which never sends the password; only the second one hides what else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """A broker, a user of it, and the file with that user's password. There is no access without a user.

    `ca_file` holds the certificates that the broker's certificate may be signed with; None: those of the machine.
    """

    bootstrap: str
    username: str
    password_file: Path
    security: Security = "SASL_PLAINTEXT"
    ca_file: Path | None = None

    def client(self) -> dict[str, Any]:
        """The arguments that every client of aiokafka takes. Reads the password anew. Raises SecretError."""
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security,
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": self.username,
            "sasl_plain_password": read_secret(self.password_file),
            "ssl_context": self.tls(),
        }

    def tls(self) -> ssl.SSLContext | None:
        """What the broker's certificate is checked with; None where nothing is encrypted."""
        if self.security == "SASL_PLAINTEXT":
            return None
        return ssl.create_default_context(cafile=self.ca_file)


def user_of(service: str) -> str:
    """The user of a service at Kafka; its consumer groups begin with the same name."""
    return f"chfw-{service}"
