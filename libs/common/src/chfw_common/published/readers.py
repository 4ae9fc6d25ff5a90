"""Who may read whose published views: the one table of it (grants are made from it)."""

READERS: dict[str, tuple[str, ...]] = {
    "smi": ("instruction", "scheduler", "notifier"),
    "instruction": ("notifier",),
    "scheduler": ("instruction", "notifier", "governance"),
}
