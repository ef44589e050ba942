"""Define the form of what to open in the console: a service and a region, or one page."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from sessions.aws import console, names
from sessions.aws.arn import RoleArn
from sessions.forms.fields import AS_TYPED, Help, ListedField, TypedField
from sessions.models import AwsSession


class ServiceInput(forms.TextInput):
    """Offer the services while one is typed, by their names."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        field = super().render(name, value, attrs, renderer)
        labels = [label for label, _ in console.SERVICES.values()]
        offered = render_to_string("components/_services.html", {"services": labels})
        return SafeString(field + offered)


def service_named(text: str) -> str:
    """Return the key of a service by its name or key. Raises ValueError."""
    wanted = text.casefold()
    for key, (label, _) in console.SERVICES.items():
        if wanted in {key, label.casefold()}:
            return key
    raise ValueError("Choose a service of the list.")


class ConsoleForm(forms.Form):
    """Take where in the console a session is opened; `to`, a path, goes before the service."""

    service = TypedField(
        label="Service",
        required=False,
        max_length=64,
        check=service_named,
        help_text="Type to search.",
    )
    region = ListedField(
        label="Region", choices=[], help_text="Where the page opens.", required=False
    )
    to = TypedField(
        label="Page",
        required=False,
        max_length=console.LONGEST_PATH,
        help_text=Help(
            "A console path, instead of a service.",
            more="Paste an address of the console, or what follows its host, as in a runbook link.",
        ),
    )

    # The one that this has begun, where the credentials are narrowed first.
    delivery = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, data: Mapping[str, Any] | None, *, session: AwsSession, to: str = ""
    ) -> None:
        first = console.SERVICES["home"][0]
        super().__init__(data, initial={"service": first, "region": session.region, "to": to})
        self.session = session
        partition = names.partition_of(session.region)
        regions = self.fields["region"]
        assert isinstance(regions, forms.ChoiceField)
        regions.choices = [(each, each) for each in names.regions().get(partition, ())]
        self.fields["service"].widget = ServiceInput(attrs=AS_TYPED | {"list": "services"})
        self.fields["to"].widget.attrs |= AS_TYPED

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        self.where = str(cleaned["region"] or self.session.region)
        try:
            if cleaned["to"]:
                partition = RoleArn.parse(self.session.link.role_arn).partition
                self.destination = console.page_address(cleaned["to"], partition)
            else:
                service = cleaned["service"] or "home"
                self.destination = console.service_address(service, self.where)
        except ValueError as error:
            self.add_error("to" if cleaned["to"] else "service", str(error))
        return cleaned
