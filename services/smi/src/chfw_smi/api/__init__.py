"""The HTTP routes of the inventory."""
