"""Checks of this repository's own rules. Each module holds one rule: a function from the tree to findings."""
