"""The HTTP routes of the simulated fleet."""
