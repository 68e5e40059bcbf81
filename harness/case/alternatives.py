"""Fields of several kinds: a look at the data chooses the kind before any of it is checked.

A plain union tries every member and, if none fits, reports the mistakes of them all. Here one member is chosen, and
only that one reports. If none is chosen, the message says what the field should be. The marker imports pydantic only
when pydantic asks for its schema, so an annotation costs nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TAG = "<{}>"
"""The form of a chosen member's name in the location of an error, where it is not part of the path."""


class ChosenBy:
    """Marks ``Annotated[Any, ChosenBy(choose, members, expected)]`` as a choice.

    Attributes:
        choose: A function from the data to the name of the member that is meant, or to None.
        members: The type of each member, by name.
        expected: The description of a valid field, for the message when ``choose`` returns None.
    """

    def __init__(self, choose: Callable[[Any], str | None], members: dict[str, Any], expected: str) -> None:
        self.choose = choose
        self.members = members
        self.expected = expected

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def tag(data: Any) -> str | None:
            name = self.choose(data)
            return None if name is None else TAG.format(name)

        return core_schema.tagged_union_schema(
            {TAG.format(name): handler.generate_schema(member) for name, member in self.members.items()},
            discriminator=tag,
            custom_error_type="none_of_the_alternatives",
            custom_error_message=self.expected,
        )
