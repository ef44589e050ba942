"""Make what is rejected due again, and read where sessions stand."""

from sessions.actors import Actor
from sessions.catalog.sessions import Draft, save_session
from sessions.db.clock import database_now
from sessions.models import Credential

# To be enabled by each account, and nobody has.
FAR = "ap-south-2"
HUB_ACCOUNT = "444455556666"


def due_now(**rows):
    Credential.objects.filter(due_at__isnull=False, **rows).update(due_at=database_now())


def try_again():
    """Let the time pass after which what was not minted is due."""
    due_now(problem__isnull=False)


def statuses(house, leaves):
    return [state.status for state in house.states(leaves)]


def allow_the_workers_own_identity(house):
    house.team.ambient_enabled = True
    house.team.save()


def web_identity(house, monkeypatch, tmp_path, *, region=FAR):
    allow_the_workers_own_identity(house)
    file = tmp_path / "token"
    file.write_text(house.sts.identity_token("system:worker"))
    monkeypatch.setenv("CHAINWEB_WEB_IDENTITY_TOKEN_FILES", str(file))
    settings = {
        "token_file": str(file),
        "role_arn": house.role_arn("ByToken", trusts=["system:worker"]),
        "role_session_name": "workers",
    }
    draft = Draft(kind="web-identity", alias="Web", profile="web", region=region, settings=settings)
    return save_session(draft, Actor(house.ada))
