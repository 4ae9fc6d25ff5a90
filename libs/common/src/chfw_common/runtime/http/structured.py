"""Strings of structured header fields (RFC 9651, section 3.3.3): ASCII in double quotes, two characters escaped."""

import re

CHARACTER = r'([ !#-\[\]-~]|\\["\\])'
"""One character of a String as a regular expression, for Python as for JSON Schema."""
_STRING = re.compile(f'"{CHARACTER}*"')
_ESCAPED = re.compile(r'\\(["\\])')
_PLAIN = re.compile(r"[ -~]*")


def parse_string(field: str) -> str | None:
    """The text of a field that is one String without parameters, None for anything else."""
    return _ESCAPED.sub(r"\1", field[1:-1]) if _STRING.fullmatch(field) else None


def write_string(text: str) -> str:
    """The field that says the text. Raises ValueError for text that a String cannot hold."""
    if _PLAIN.fullmatch(text) is None:
        raise ValueError("a String of a header holds printable ASCII only")
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
