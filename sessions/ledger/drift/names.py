"""Judge the names of sessions by the team's policy."""

from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from sessions.models import AwsName, Membership, SourceIdentity, TeamPolicy

MOST_NAMES = 10_000


@dataclass(frozen=True)
class Demands:
    """Hold what a team's policy demands of the names of sessions.

    `handles`: what its people are, and were, named in CloudTrail.
    """

    names_a_person: bool
    source_identity: bool
    handles: frozenset[str]
    by_username: dict[str, str]

    @classmethod
    def of(cls, team_id: UUID) -> "Demands":
        """Read what a team demands now."""
        policy = TeamPolicy.of(team_id)
        members = Membership.objects.filter(team_id=team_id)
        people = dict(members.values_list("user__username", "user__aws_name"))
        # A name that somebody had once is still that person's in an old record.
        were = AwsName.objects.filter(username__in=people).values_list("key", flat=True)
        return cls(
            policy.username_demanded or policy.names_locked,
            policy.source_identity != SourceIdentity.OFF,
            frozenset({*(handle.lower() for handle in people.values()), *were}) - {""},
            people,
        )

    def __hash__(self) -> int:
        return hash((self.names_a_person, self.source_identity, self.handles))

    def breaks(self, name: str, people: tuple[str, ...] = ()) -> bool:
        """Tell whether a role session name does not say whose it is, though it has to.

        `people`: whose it is for certain; else anybody of the team will do.
        """
        if not self.names_a_person or not name:
            return False
        if people:
            handles = (self.by_username.get(each, each).lower() for each in people)
            return any(handle not in name.lower() for handle in handles)
        return not _names_one_of(name.lower(), self.handles)


@lru_cache(MOST_NAMES)
def _names_one_of(name: str, handles: frozenset[str]) -> bool:
    lengths = {len(handle) for handle in handles}
    return any(
        name[begin : begin + length] in handles
        for length in lengths
        for begin in range(len(name) - length + 1)
    )
