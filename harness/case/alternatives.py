"""Fields that may be one of several kinds of thing, told apart by a look at the data before any of it is checked.

A plain union tries every member and, when none fits, reports what each of them missed. Here one member is chosen, only
that one reports, and when none is chosen the message says what the field should be. The marker imports pydantic when
pydantic asks it for a schema, so that annotating a field with it costs nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TAG = "<{}>"
"""How a chosen member's name stands in the location of an error, where it is not part of the path."""


class ChosenBy:
    """Marks ``Annotated[Any, ChosenBy(choose, members, expected)]`` as a choice.

    Attributes:
        choose: maps the data to the name of the member that it is meant as, or to None.
        members: the type of each member, by name.
        expected: what the field should be, for the message when ``choose`` returns None.
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
