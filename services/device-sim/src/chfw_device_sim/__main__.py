"""Run the simulated network: `python -m chfw_device_sim`."""

from chfw_common.runtime.live import main
from chfw_device_sim.service import build
from chfw_device_sim.settings import Settings

if __name__ == "__main__":
    main(build, Settings(), "device-sim")
