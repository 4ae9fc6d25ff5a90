"""The SQL of the inventory."""
