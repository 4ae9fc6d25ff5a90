"""Runs the instruction service as this process."""

from chfw_common.runtime.live import main
from chfw_instruction.service import NAME, build
from chfw_instruction.settings import Settings

if __name__ == "__main__":
    main(build, Settings(), NAME)
