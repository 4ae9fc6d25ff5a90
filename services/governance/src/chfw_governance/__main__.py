"""Runs the governance service as this process."""

from chfw_common.runtime.live import main
from chfw_governance.service import NAME, build
from chfw_governance.settings import Settings

if __name__ == "__main__":
    main(build, Settings(), NAME)
