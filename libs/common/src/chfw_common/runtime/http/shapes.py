"""What bodies and answers are made of: models that know their fields alone, and text that says something."""

from dataclasses import dataclass

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from chfw_common.kernel.codes import code
from chfw_common.kernel.texts import words

AS_CODE = AfterValidator(code)
"""Makes a text a code, spelt as it is compared: `Annotated[str, Words(60), AS_CODE]`."""


class Shape(BaseModel):
    """A part of a request or of an answer. What it does not name is refused, and nobody changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


REGION_LENGTH = 60
"""The most characters of the name of a region, wherever it is stated."""


@dataclass(frozen=True, slots=True)
class Words:
    """Marks every text of a request: one line, `most` characters at most, all of which show, one of them a letter or a
    digit. The blanks round it are taken off. `Annotated[str, Words(60)]`.
    """

    most: int

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Counted as sent, as the document says; then stripped and looked at."""
        text = core_schema.str_schema(min_length=1, max_length=self.most)
        return core_schema.no_info_after_validator_function(words, text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """What of it a pattern can say: of the characters that show, ASCII is all that is told apart."""
        return {
            **handler(schema),
            "pattern": r"^[^\x00-\x08\x0e-\x1b]*([0-9A-Za-z]|[^\x00-\x7f])[^\x00-\x08\x0e-\x1b]*$",
        }
