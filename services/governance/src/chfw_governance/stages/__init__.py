"""What governance does: open a release, decide, follow what becomes of a decision."""
