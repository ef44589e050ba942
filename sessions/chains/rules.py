"""Check a link against its team's policy, and the hops of one chain against each other."""

from collections.abc import Mapping, Sequence

from sessions.aws import session_policies
from sessions.aws.arn import RoleArn
from sessions.aws.name_template import NameTemplate
from sessions.aws.names import InvalidName
from sessions.aws.session_policies import LONGEST_POLICY
from sessions.chains.impersonation import HANDLE, conflicting_name, handles_of
from sessions.chains.names import template_of
from sessions.chains.scoping import longest_size
from sessions.exceptions import Refused
from sessions.models import AssumerLink, AwsSession, TeamPolicy
from sessions.models.sessions import load_chains


def check_link(link: AssumerLink, policy: TeamPolicy) -> None:
    """Check that the team's policy allows a link. Raises `Refused`."""
    own = NameTemplate(link.role_session_name)
    demanded = policy.username_demanded and not policy.names_locked
    if own.text and demanded and not own.names_a_person:
        raise Refused(
            "role_session_name", "The team's policy requires {username} in every role session name."
        )
    check_tags(link, policy)
    missing = set(link.transitive_tag_keys) - {key for key, _ in link.tags}
    if missing:
        raise Refused(
            "transitive_tag_keys",
            f"“{sorted(missing)[0]}” is passed on but is not a tag of this hop.",
        )
    try:
        session_policies.validate_policy_arns(link.policy_arns, RoleArn.parse(link.role_arn))
    except InvalidName as error:
        raise Refused("policy_arns", str(error)) from None


def check_name(
    session: AwsSession, policy: TeamPolicy, handles: Mapping[str, int] | None = None
) -> None:
    """Check that no member's role session name equals another member's CloudTrail handle.

    It checks the session's own hop. `handles`: the team's, if they are read already. Raises
    `Refused`.
    """
    template = template_of(session.link, policy)
    if template == HANDLE:
        return
    assert session.team is not None
    filled = template.fill(session.alias, session.team.slug)
    name = conflicting_name(filled, handles_of(session.team_id) if handles is None else handles)
    if name:
        raise Refused(
            "role_session_name",
            f"Somebody would appear as “{name}”, which is another person's own name in"
            " CloudTrail: use {username}.",
        )


def check_tags(link: AssumerLink, policy: TeamPolicy) -> None:
    """Check that the policy allows the link's tags. Raises `Refused`."""
    if why := why_not_tags(link, policy):
        raise Refused("tags", why)


def why_not_tags(link: AssumerLink, policy: TeamPolicy) -> str:
    """Say which of a link's tags the policy does not allow; empty if it allows all."""
    allowed = policy.allowed_tags
    for key, value in link.tags:
        if key not in allowed:
            known = f"It allows {', '.join(allowed)}." if allowed else "It allows none."
            return f"The team's policy does not allow the tag “{key}”. {known}"
        if allowed[key] and value not in allowed[key]:
            return f"The tag “{key}” can only be {' or '.join(allowed[key])}."
    return ""


def check_below(session: AwsSession, policy: TeamPolicy) -> None:
    """Check the chains through an edited session whose tags may clash. Raises `Refused`.

    Tags that the session, or a hop above it, passes on may clash with tags of hops below it, so
    only hops below with tags are checked.
    """
    if not any(each.link.transitive_tag_keys for each in session.chain()[1:]):
        return
    tagged = session.with_dependants().exclude(pk=session.pk).exclude(link__tags=[])
    for chain in load_chains(tagged.select_related("link")).values():
        check_chain(chain, policy)


def check_chain(chain: Sequence[AwsSession], policy: TeamPolicy) -> None:
    """Check that AWS can take a chain's hops, root first. Raises `Refused`, naming the hop."""
    passed_on: dict[str, tuple[int, AwsSession]] = {}
    for number, session in enumerate(chain[1:], start=1):
        for key, _ in session.link.tags:
            if earlier := passed_on.get(key.casefold()):
                raise Refused(
                    "tags",
                    f"Hop {number}, “{session.alias}”, sends the tag “{key}”, which hop"
                    f" {earlier[0]}, “{earlier[1].alias}”, already passes on: AWS refuses to take"
                    " it again.",
                )
        passed_on |= {key.casefold(): (number, session) for key in session.link.transitive_tag_keys}
    check_size(chain[-1], policy)


def check_size(session: AwsSession, policy: TeamPolicy) -> None:
    """Check that a hop's session policies and networks are not too long. Raises `Refused`."""
    try:
        size = size_of(session.link, policy)
    except InvalidName as error:
        raise Refused("policy", f"“{session.alias}”: {error}") from None
    if size > LONGEST_POLICY:
        is_bound = policy.networks or session.link.networks
        limits = " with the networks and limits it is bound to" if is_bound else ""
        raise Refused(
            "policy",
            f"The session policies of “{session.alias}”{limits} have {size} characters; AWS"
            f" accepts {LONGEST_POLICY}.",
        )


def size_of(link: AssumerLink, policy: TeamPolicy) -> int:
    """Count the characters of a hop's session policies, with networks and limits, as AWS does."""
    return longest_size(link.settings, policy)
