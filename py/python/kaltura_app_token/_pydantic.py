"""What pydantic, and with it FastAPI, is told of our classes: how they are written, always masked.

Only pydantic loads this, by the hooks of the classes; it knows of them no more than `to_dict`.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import core_schema


def result_schema(cls: type[Any]) -> core_schema.CoreSchema:
    """For a result: an instance goes in, `to_dict()` comes out."""
    return core_schema.is_instance_schema(
        cls,
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda result: result.to_dict(),
            return_schema=core_schema.dict_schema(core_schema.str_schema()),
        ),
    )


def secret_schema(cls: type[Any]) -> core_schema.CoreSchema:
    """For a secret: text or a secret goes in, the mask comes out."""
    return core_schema.no_info_plain_validator_function(
        cls,
        serialization=core_schema.plain_serializer_function_ser_schema(
            str, return_schema=core_schema.str_schema()
        ),
    )
