"""The second way to run the same services: LocalBroker, VirtualClock, and the driver that moves them."""
