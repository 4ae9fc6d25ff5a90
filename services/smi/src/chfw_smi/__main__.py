"""Run the inventory: `python -m chfw_smi`."""

from chfw_common.runtime.live import main
from chfw_smi.service import build
from chfw_smi.settings import Settings

if __name__ == "__main__":
    main(build, Settings(), "smi")
