"""Bounds of numbers and durations that come from outside: what can be stored, and computed with afterwards."""

from datetime import timedelta

GREATEST_NUMBER = (1 << 31) - 1
"""The greatest `int` of Postgres."""
GREATEST_COUNTER = 1 << 62
"""Counters are kept as `bigint`; half of it is room for those that are given next."""
LONGEST_SPAN = timedelta(days=3_660)
"""The longest duration that a notice or a setting may state: ten years."""
