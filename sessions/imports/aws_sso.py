"""Read the configuration of aws-sso-cli: its roles, and those that `Via` is assumed from."""

import re

from sessions.aws.arn import InvalidArn, RoleArn
from sessions.aws.names import LONGEST_PROFILE, InvalidName, validate_external_id
from sessions.imports.ini import Unreadable, short
from sessions.imports.leapp import check_root
from sessions.imports.naming import LONGEST_ALIAS, Names, legal_alias, legal_profile
from sessions.imports.plan import CHAINED, IDENTITY_CENTER, Item, Plan, refuse_circles
from sessions.imports.yaml_nodes import Node, read_yaml

_FIELD = re.compile(r"\{\{\s*\.(AccountIdPad|AccountId|AccountName|RoleName)\s*\}\}")


def read_aws_sso(text: str, file: str, plan: Plan) -> None:
    """Add the roles of an aws-sso-cli configuration."""
    document = read_yaml(text)
    portals = document.get("SSOConfig")
    if not portals.map:
        raise Unreadable(1, "This is no configuration of aws-sso-cli: it has no SSOConfig.")
    template = document.get("ProfileFormat").text
    aliases, profiles = Names(LONGEST_ALIAS), Names(LONGEST_PROFILE)
    for portal in portals.map.values():
        _Portal(portal, template, file, plan, aliases, profiles).run()


class _Portal:
    """Hold one Identity Center while its roles become items."""

    def __init__(
        self, node: Node, template: str, file: str, plan: Plan, aliases: Names, profiles: Names
    ) -> None:
        self.node, self.template, self.file, self.plan = node, template, file, plan
        self.aliases, self.profiles = aliases, profiles
        # By account and role in lower case.
        self.items: dict[tuple[str, str], Item] = {}
        self.via: dict[str, Node] = {}

    def run(self) -> None:
        for number, account in self.node.get("Accounts").map.items():
            padded = number.zfill(12) if number.isascii() and number.isdigit() else number
            for name, role in account.get("Roles").map.items():
                self._add(padded, account, name, role)
        for key, via in list(self.via.items()):
            self._link(self.plan.items[key], via)
        refuse_circles(self.plan, {key: via.line for key, via in self.via.items()})

    def _add(self, account: str, about: Node, name: str, role: Node) -> Item:
        called = role.get("Profile").text or self._name(account, about, name)
        item = Item(self.plan.free_key(called), called, self.file, role.line)
        item.alias = self.aliases.take(legal_alias(called))
        item.profile = self.profiles.take(legal_profile(called))
        item.region = next(
            (
                each
                for each in (
                    role.get("DefaultRegion").text,
                    about.get("DefaultRegion").text,
                    self.node.get("DefaultRegion").text,
                    self.node.get("SSORegion").text,
                )
                if each
            ),
            "",
        )
        self.plan.add(item)
        self.items[(account, name.lower())] = item
        via = role.get("Via")
        if via.text:
            self.via[item.key] = via
            self._chained(item, account, name, role)
        else:
            item.kind = IDENTITY_CENTER
            item.settings = {
                "start_url": self.node.get("StartUrl").text,
                "sso_region": self.node.get("SSORegion").text,
                "account_id": account,
                "role_name": name,
            }
            check_root(item)
        return item

    def _name(self, account: str, about: Node, role: str) -> str:
        values = {
            "AccountIdPad": account,
            "AccountId": account.lstrip("0"),
            "AccountName": about.get("Name").text,
            "RoleName": role,
        }
        called = _FIELD.sub(lambda found: values[found[1]], self.template[:200])
        # Other functions of Go's templates are not worked out here.
        return called if called and "{{" not in called else f"{account}:{role}"

    def _chained(self, item: Item, account: str, name: str, role: Node) -> None:
        item.kind = CHAINED
        arn = name if name.startswith("arn:") else f"arn:aws:iam::{account}:role/{name}"
        try:
            item.settings["role_arn"] = str(RoleArn.parse(arn))
        except InvalidArn as error:
            item.refuse(item.line, str(error))
        external_id = role.get("ExternalId")
        if external_id.text:
            try:
                item.settings["external_id"] = validate_external_id(external_id.text)
            except InvalidName as error:
                item.note(external_id.line, f"ExternalId is not imported: {error}", "ExternalId")
        if role.get("SourceIdentity").text:
            item.note(
                role.get("SourceIdentity").line,
                "SourceIdentity is dropped: the team's policy decides what is sent.",
            )

    def _link(self, item: Item, via: Node) -> None:
        try:
            arn = RoleArn.parse(via.text)
        except InvalidArn as error:
            item.refuse(via.line, f"Via: {error}", "Via")
            return
        source = self.items.get((arn.account, arn.name.lower()))
        if source is None:
            # A role that is named in Via alone is one of Identity Center all the same.
            source = self._add(arn.account, Node(via.line), arn.name, Node(via.line))
            source.note(via.line, f"Named in Via of “{short(item.name)}” alone.")
        item.source = source.key
