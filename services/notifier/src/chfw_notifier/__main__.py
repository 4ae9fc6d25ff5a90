"""Runs the notifier as this process."""

from chfw_common.runtime.live import main
from chfw_notifier.service import NAME, build
from chfw_notifier.settings import Settings

if __name__ == "__main__":
    main(build, Settings(), NAME)
