"""The composition of the inventory."""

from chfw_common.runtime.service import Consume, Service
from chfw_common.topology import CS06_ALERT, HUB_RESPONSE
from chfw_smi.api.routes import router
from chfw_smi.settings import Settings
from chfw_smi.stages import observe


def build(_: Settings) -> Service:
    """The service as data."""
    return Service(
        name="smi",
        consumes={
            CS06_ALERT: Consume(observe.handle_alerts),
            HUB_RESPONSE: Consume(observe.handle_responses),
        },
        routes=[router],
    )
