"""The routes of intake: parse, call one stage, render."""
