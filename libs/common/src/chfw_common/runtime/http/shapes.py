"""What bodies and answers are made of: models that know their fields alone, and text that can be stored."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """A part of a request or of an answer. What it does not name is refused, and nobody changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


REGION_LENGTH = 60
"""The most characters of the name of a region, wherever it is stated."""
Written = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]
"""Text without the NUL that Postgres cannot hold. Each use says how long it may be."""
