"""Give a SIEM's own form of a record CloudTrail's shape again.

Elastic's ECS (nested or with dots), Splunk's and Logs Insights' fields with dots, Microsoft
Sentinel's table, OCSF, a userIdentity alone, and the answer of GetCallerIdentity. A field that a
SIEM fills from elsewhere is not taken: the user.name of ECS is a role.
"""

from sessions.aws.cloudtrail.values import as_dict, mapping, text

_DEEPEST = 6
# A type alone has a resource as well.
_OF_AN_IDENTITY = frozenset({"principalId", "accessKeyId", "sessionContext", "invokedBy"})
# Sentinel's columns that CloudTrail has elsewhere.
_SENTINEL = {
    "useridentitytype": "type",
    "useridentityprincipalid": "principalId",
    "useridentityarn": "arn",
    "useridentityaccountid": "accountId",
    "useridentityaccesskeyid": "accessKeyId",
    "useridentityusername": "userName",
    "useridentityinvokedby": "invokedBy",
}


def converted(value: dict[str, object]) -> dict[str, object] | None:
    """Return a record in CloudTrail's shape; None where the object is of no SIEM known here."""
    if "aws" in value and (cloudtrail := mapping(mapping(value["aws"]).get("cloudtrail"))):
        return _from_ecs(value, cloudtrail)
    if any(key.startswith("aws.cloudtrail.") for key in value):
        nested = _nested(value)
        return _from_ecs(nested, mapping(mapping(nested.get("aws")).get("cloudtrail")))
    if any(key.lower().startswith("useridentity.") for key in value):
        return _nested(value)
    lower = {key.lower(): item for key, item in value.items()}
    if "useridentitytype" in lower:
        return _from_sentinel(lower)
    if "class_uid" in value and "api" in value:
        return _from_ocsf(value)
    if {"UserId", "Account", "Arn"} <= value.keys():
        return {"userIdentity": _identity_of_caller(value)}
    found = mapping(value)
    if "type" in found and not _OF_AN_IDENTITY.isdisjoint(found):
        return {"userIdentity": found}
    return None


def _from_ecs(value: dict[str, object], cloudtrail: dict[str, object]) -> dict[str, object]:
    event, cloud = mapping(value.get("event")), mapping(value.get("cloud"))
    source, agent = mapping(value.get("source")), mapping(value.get("user_agent"))
    flattened = mapping(cloudtrail.get("flattened"))
    identity = dict(mapping(cloudtrail.get("userIdentity")))
    identity.setdefault("principalId", mapping(value.get("user")).get("id"))
    record: dict[str, object] = {
        "eventID": event.get("id"),
        "eventName": event.get("action"),
        "eventSource": event.get("provider"),
        "eventTime": value.get("@timestamp"),
        "awsRegion": cloud.get("region"),
        "sourceIPAddress": source.get("address") or source.get("ip"),
        "userAgent": agent.get("original"),
    }
    record |= {key: item for key, item in cloudtrail.items() if item is not None}
    record |= {
        "userIdentity": identity,
        "requestParameters": flattened.get("requestParameters")
        or cloudtrail.get("requestParameters"),
        "responseElements": flattened.get("responseElements") or cloudtrail.get("responseElements"),
        "additionalEventData": flattened.get("additionalEventData")
        or flattened.get("additional_eventdata")
        or cloudtrail.get("additionalEventData")
        or cloudtrail.get("additional_eventdata"),
    }
    return record


def _nested(value: dict[str, object]) -> dict[str, object]:
    """Turn keys with dots into objects within objects; an array of one value into the value."""
    nested: dict[str, object] = {}
    for key, item in value.items():
        *parents, last = key.split(".", _DEEPEST)
        place = nested
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            if not isinstance(place.get(last), dict):
                place[last] = item[0] if isinstance(item, list) and len(item) == 1 else item
    return nested


def _from_sentinel(lower: dict[str, object]) -> dict[str, object]:
    record = dict(mapping(lower))
    record["eventID"] = lower.get("awseventid") or lower.get("eventid")
    record["requestID"] = lower.get("awsrequestid") or lower.get("requestid")
    record["eventTime"] = lower.get("timegenerated") or lower.get("eventtime")
    record["eventType"] = lower.get("eventtypename") or lower.get("eventtype")
    identity = {name: lower.get(column) for column, name in _SENTINEL.items()}
    identity["sessionContext"] = {
        "attributes": {
            "creationDate": lower.get("sessioncreationdate"),
            "mfaAuthenticated": lower.get("sessionmfaauthenticated"),
        },
        "sessionIssuer": {
            "type": lower.get("sessionissuertype"),
            "arn": lower.get("sessionissuerarn"),
            "principalId": lower.get("sessionissuerprincipalid"),
            "accountId": lower.get("sessionissueraccountid"),
            "userName": lower.get("sessionissuerusername"),
        },
    }
    record["userIdentity"] = identity
    return record


def _from_ocsf(value: dict[str, object]) -> dict[str, object]:
    api, actor = as_dict(value.get("api")), as_dict(value.get("actor"))
    user, session = as_dict(actor.get("user")), as_dict(actor.get("session"))
    source, response = as_dict(value.get("src_endpoint")), as_dict(api.get("response"))
    request = as_dict(api.get("request"))
    issuer = text(session.get("issuer"))
    identity: dict[str, object] = {
        "type": user.get("type") if user.get("type") != "Unknown" else "",
        "principalId": user.get("uid_alt"),
        "arn": user.get("uid"),
        "accountId": as_dict(user.get("account")).get("uid"),
        "accessKeyId": user.get("credential_uid") or session.get("credential_uid"),
        "userName": user.get("name"),
        "invokedBy": actor.get("invoked_by"),
        "sessionContext": {
            "attributes": {"creationDate": session.get("created_time")},
            "sessionIssuer": {"type": "Role", "arn": issuer} if ":role/" in issuer else {},
        },
    }
    return {
        "userIdentity": identity,
        "eventTime": value.get("time"),
        "eventName": api.get("operation"),
        "eventSource": as_dict(api.get("service")).get("name"),
        "eventID": as_dict(value.get("metadata")).get("uid"),
        "requestID": request.get("uid"),
        "requestParameters": request.get("data"),
        "responseElements": response.get("data"),
        "errorCode": response.get("error"),
        "errorMessage": response.get("message"),
        "awsRegion": as_dict(value.get("cloud")).get("region"),
        "sourceIPAddress": source.get("ip") or source.get("domain"),
        "userAgent": as_dict(value.get("http_request")).get("user_agent"),
    }


def _identity_of_caller(value: dict[str, object]) -> dict[str, object]:
    """Return what GetCallerIdentity answered as a userIdentity."""
    arn = text(value.get("Arn"))
    kinds = {
        ":assumed-role/": "AssumedRole",
        ":user/": "IAMUser",
        ":federated-user/": "FederatedUser",
    }
    of_root = "Root" if arn.endswith(":root") else ""
    return {
        "type": next((kind for mark, kind in kinds.items() if mark in arn), of_root),
        "principalId": value.get("UserId"),
        "accountId": value.get("Account"),
        "arn": arn,
    }
