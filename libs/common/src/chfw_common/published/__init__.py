"""Typed readers of the views that services publish, one module per owner."""
