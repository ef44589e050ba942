"""Tell what kind of root a profile is, and fill in its settings."""

import re
from collections.abc import Mapping

from sessions.aws.characters import shown
from sessions.aws.names import InvalidName, validate_mfa_serial
from sessions.aws.roots import ROOT_KINDS
from sessions.imports.ini import Section, short
from sessions.imports.plan import IAM_USER, IDENTITY_CENTER, WEB_IDENTITY, Item
from sessions.imports.profiles import Profile
from sessions.secret import Secret

KEY_ID, KEY = "aws_access_key_id", "aws_secret_access_key"
TOKENS = ("aws_session_token", "aws_security_token")
# `granted credential-process` keeps Identity Center's settings under names of its own.
GRANTED = "granted_"
_SSO = ("sso_start_url", "sso_region", "sso_account_id", "sso_role_name")
_MFA = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:[ -~]+", re.ASCII)


def root_kind_of(profile: Profile, *, is_source: bool) -> tuple[str, str]:
    """Return (the root kind of a profile, what it rests on if that is none of ours).

    Of several ways to credentials the one counts that botocore tries first. `is_source`: a role is
    assumed from the profile, so that it must have a key, be it in another file.
    """
    if profile.has("web_identity_token_file"):
        return WEB_IDENTITY, ""
    if profile.has("sso_session", *_SSO, *(f"{GRANTED}{each}" for each in _SSO)):
        return IDENTITY_CENTER, ""
    if profile.has(KEY_ID, KEY):
        return IAM_USER, ""
    if profile.has("login_session"):
        return "", "A log-in of “aws login” (login_session)"
    if profile.has("credential_process"):
        return "", "A command (credential_process)"
    is_own = profile.text("source_profile") == profile.name
    if profile.has("mfa_serial") and (is_own or not profile.has("source_profile")):
        return IAM_USER, ""
    if is_own or (is_source and not profile.has("source_profile")):
        return IAM_USER, ""
    return "", ""


def fill_root(
    item: Item, profile: Profile, sso_sessions: Mapping[str, Section] | None = None
) -> None:
    """Fill in the settings of a root, each checked by its kind; refuse what is wrong."""
    item.kind = item.kind or IAM_USER
    if item.kind == IAM_USER:
        _fill_key(item, profile)
    elif item.kind == WEB_IDENTITY:
        item.settings = {"token_file": profile.text("web_identity_token_file")}
        for name in ("role_arn", "role_session_name"):
            if profile.text(name):
                item.settings[name] = profile.text(name)
        if not profile.text("role_arn"):
            item.refuse(
                profile.line_of("web_identity_token_file"),
                "web_identity_token_file needs role_arn beside it.",
                "web_identity_token_file",
            )
    else:
        _fill_identity_center(item, profile, sso_sessions or {})
    _check(item, profile)


def _fill_key(item: Item, profile: Profile) -> None:
    serial = profile.text("mfa_serial")
    if serial and not (profile.has("role_arn") and profile.text("source_profile") != profile.name):
        if why := why_not_mfa(serial):
            item.refuse(profile.line_of("mfa_serial"), why, "mfa_serial")
        else:
            item.settings["mfa_serial"] = serial
    for token in TOKENS:
        if profile.has(token):
            item.refuse(
                profile.line_of(token),
                "The key is a temporary one (aws_session_token): it ends, and is not imported.",
                token,
            )
            return
    key_id, secret = profile.text(KEY_ID), profile.text(KEY)
    if secret and not key_id:
        item.note(
            profile.line_of(KEY), "aws_secret_access_key has no aws_access_key_id: enter both.", KEY
        )
        return
    if not key_id:
        return
    if why := _why_not_key(key_id, secret):
        item.note(profile.line_of(KEY_ID), f"{why} Enter the real key.", KEY_ID)
        return
    item.settings["access_key_id"] = key_id
    if secret:
        item.secrets["secret_access_key"] = Secret(secret)
    else:
        item.note(
            profile.line_of(KEY_ID),
            "aws_access_key_id has no aws_secret_access_key: AWS tools refuse the profile. Enter"
            " the secret.",
            KEY,
        )


def _why_not_key(key_id: str, secret: str) -> str:
    """Say why these are not a key; it repeats neither."""
    checks = {each.name: each.validate for each in ROOT_KINDS[IAM_USER].fields}
    id_check, secret_check = checks["access_key_id"], checks["secret_access_key"]
    assert id_check is not None
    assert secret_check is not None
    if len(set(key_id.lower())) < 5 or (secret and len(set(secret.lower())) < 5):
        return "The key is masked, and not stored."
    try:
        id_check(key_id)
    except InvalidName:
        return "aws_access_key_id is no access key ID; it is not stored."
    try:
        if secret:
            secret_check(secret)
    except InvalidName:
        return "aws_secret_access_key is no secret access key; it is not stored."
    return ""


def _fill_identity_center(
    item: Item, profile: Profile, sso_sessions: Mapping[str, Section]
) -> None:
    prefix = "" if profile.has("sso_session", *_SSO) else GRANTED
    found = {name: profile.text(f"{prefix}{name}") for name in _SSO}
    named = profile.text("sso_session")
    if named:
        line = profile.line_of("sso_session")
        session = sso_sessions.get(named)
        if session is None:
            item.refuse(
                line,
                f"sso_session names {short(named)}: there is no [sso-session {short(named)}].",
                "sso_session",
            )
            return
        for name, value in session.values.items():
            own = profile.values.get(name)
            if own is not None and own.text != value.text:
                item.refuse(
                    own.line,
                    f"{name} differs from that of [sso-session {short(named)}], line"
                    f" {value.line}: AWS tools refuse the profile. Delete this line, or make the"
                    " two alike.",
                    name,
                )
                return
            if name in found:
                found[name] = value.text.strip()
    missing = [name for name in ("sso_start_url", "sso_region") if not found[name]]
    pair = [name for name in ("sso_account_id", "sso_role_name") if not found[name]]
    if len(pair) == 1 or (pair and not named):
        missing += pair
    if missing:
        plural = "are" if len(missing) > 1 else "is"
        item.refuse(profile.line, f"{' and '.join(missing)} {plural} missing.", missing[0])
    item.settings = {
        "start_url": found["sso_start_url"],
        "sso_region": found["sso_region"],
        "account_id": found["sso_account_id"],
        "role_name": found["sso_role_name"],
    }
    item.settings = {name: value for name, value in item.settings.items() if value}
    item.region = item.region or found["sso_region"]


_SETTING_OF = {
    "start_url": "sso_start_url",
    "sso_region": "sso_region",
    "account_id": "sso_account_id",
    "role_name": "sso_role_name",
    "token_file": "web_identity_token_file",
}


def _check(item: Item, profile: Profile) -> None:
    """Run the checks of the kind's own form."""
    for spec in ROOT_KINDS[item.kind].fields:
        value = item.settings.get(spec.name, "")
        if not value or spec.validate is None:
            continue
        try:
            item.settings[spec.name] = spec.validate(value)
        except ValueError as error:
            name = _SETTING_OF.get(spec.name, spec.name)
            item.refuse(profile.line_of(name), f"{name}: {error}", name)


def why_not_mfa(serial: str) -> str:
    """Say why AWS has no such MFA device; empty if it may have."""
    try:
        validate_mfa_serial(serial)
    except InvalidName as error:
        return str(error)
    if serial.startswith("arn:") and not _MFA.fullmatch(serial):
        return f"The account in mfa_serial is not 12 digits: {shown(serial)}."
    return ""
