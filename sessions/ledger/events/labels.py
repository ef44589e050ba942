"""Declare the events about a team's labels; which session has which is told with the session."""

from sessions.ledger.events import Changing, EventData, event


@event
class LabelEdited(Changing):
    """Record what a label became. Sensitive, it makes every session that has it sensitive."""

    tag = "label.edited"
    label = "label edited"

    name: str
    colour: str
    is_sensitive: bool

    def summary(self) -> str:
        before = self.before or {}
        named = f" (was {before['name']})" if before.get("name") else ""
        marked = ""
        if "is_sensitive" in before:
            marked = ", sensitive" if self.is_sensitive else ", not sensitive any more"
        return f"edited the label {self.name}{named}: {self.colour}{marked}"


@event
class LabelDeleted(EventData):
    tag = "label.deleted"
    label = "label deleted"

    name: str

    def summary(self) -> str:
        return f"deleted the label {self.name}"
