"""The routes of the notifier: parse, call one stage, render."""
