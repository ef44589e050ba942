"""Evaluate policies as IAM does, as far as ours go: effects, actions, and three conditions."""

import fnmatch
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any

# From where every caller of a test comes, as AWS sees it.
SOURCE_IP = "198.51.100.7"


def allow(policies: Iterable[str], action: str, region: str, source_ip: str = SOURCE_IP) -> bool:
    """Tell whether each of these policies allows an action: they narrow one session."""
    context = {
        "aws:SourceIp": source_ip,
        "aws:RequestedRegion": region,
        "aws:ViaAWSService": "false",
    }
    return all(_allows(json.loads(policy), action, context) for policy in policies)


def denies(policies: Iterable[str], action: str, region: str, source_ip: str = SOURCE_IP) -> bool:
    """Tell whether one of these policies denies an action expressly."""
    context = {
        "aws:SourceIp": source_ip,
        "aws:RequestedRegion": region,
        "aws:ViaAWSService": "false",
    }
    return any("Deny" in _effects(json.loads(policy), action, context) for policy in policies)


def _allows(document: Mapping[str, Any], action: str, context: Mapping[str, str]) -> bool:
    effects = _effects(document, action, context)
    return "Allow" in effects and "Deny" not in effects


def _effects(document: Mapping[str, Any], action: str, context: Mapping[str, str]) -> set[str]:
    return {
        each["Effect"]
        for each in _listed(document["Statement"])
        if _is_about(each, action) and _holds(each.get("Condition", {}), context)
    }


def _is_about(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not _matches(statement["NotAction"], action)
    return _matches(statement["Action"], action)


def _matches(patterns: Any, action: str) -> bool:
    return any(
        fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in _listed(patterns)
    )


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    return all(
        _one_holds(operator, _listed(values), context.get(key))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _one_holds(operator: str, values: list[str], actual: str | None) -> bool:
    match operator:
        case "NotIpAddress":
            return actual is None or not _is_in(actual, values)
        case "IpAddress":
            return actual is not None and _is_in(actual, values)
        case "StringNotEquals":
            return actual not in values
        case "StringEquals" | "Bool":
            return actual in values
        case _:
            raise NotImplementedError(operator)


def _is_in(address: str, networks: list[str]) -> bool:
    found = ipaddress.ip_address(address)
    return any(found in ipaddress.ip_network(each) for each in networks)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
