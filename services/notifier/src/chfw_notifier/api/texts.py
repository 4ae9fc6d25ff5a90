"""Names as a notice and the rules of a pilot state them."""

from typing import Annotated

from pydantic import Field

from chfw_common.runtime.http.shapes import AS_CODE, Words

Text = Annotated[str, Words(200)]
Code = Annotated[str, Words(200), AS_CODE]
Codes = Annotated[tuple[Code, ...], Field(max_length=200)]
Texts = Annotated[tuple[Text, ...], Field(max_length=200)]
