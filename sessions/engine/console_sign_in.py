"""Exchange credentials for the sign-in tokens that people wait for (in a worker)."""

from django.conf import settings

from sessions.aws.console import federation_url
from sessions.aws.errors import AwsError, Rejected
from sessions.aws.federation import sign_in_token
from sessions.credentials.outcomes import problem_of
from sessions.db.clock import database_now
from sessions.delivery.console import GONE, open_for, seal_token
from sessions.delivery.reveal import NotReady
from sessions.locks.busy_teams import skip_if_busy
from sessions.models import ConsoleSignIn

AT_ONCE = 20


def work_off() -> None:
    """Get a token for each sign-in that somebody waits for; one call each, without a retry."""
    now = database_now()
    waiting = ConsoleSignIn.objects.filter(sealed=None, problem__isnull=True, ends_at__gt=now)
    for pk in list(waiting.order_by("ends_at").values_list("pk", flat=True)[:AT_ONCE]):
        with skip_if_busy():
            if (sign_in := waiting.hold(pk)) is not None:
                _get_token(sign_in)


def is_due() -> bool:
    """Check whether somebody waits for a token."""
    waiting = ConsoleSignIn.objects.filter(sealed=None, problem__isnull=True)
    return waiting.free(database_now()).exists()


def _get_token(sign_in: ConsoleSignIn) -> None:
    try:
        credentials, hop = open_for(sign_in)
        url = federation_url(sign_in.region, settings.CONSOLE_FEDERATION_URL)
        token = sign_in_token(url, credentials, hop)
    except NotReady as not_ready:
        sign_in.release(problem=not_ready.state.problem or GONE)
    except AwsError as error:
        sign_in.release(problem=problem_of(error, since=database_now()))
    except ValueError as error:
        rejected = Rejected("NoConsole", 0, str(error), "Choose another region.")
        sign_in.release(problem=problem_of(rejected, since=database_now()))
    else:
        sign_in.release(sealed=seal_token(sign_in, token))
