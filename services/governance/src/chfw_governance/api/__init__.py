"""The routes of governance: parse, call one stage, render."""
