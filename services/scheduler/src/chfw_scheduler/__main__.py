"""`python -m chfw_scheduler` runs the service."""

from chfw_common.runtime.live import main
from chfw_scheduler.service import build
from chfw_scheduler.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    main(lambda _: build(settings), settings, "scheduler")
