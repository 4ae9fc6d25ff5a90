"""What the inventory is told by its environment: nothing beyond what every service is told."""

from chfw_common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the inventory."""
