"""Read all settings from the environment; the defaults are those of `./run`: SQLite and Valkey."""

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from kombu import Queue

from chainweb import identity, logs
from chainweb.environment import FromEnvironmentOrFile
from chainweb.local import embedded
from chainweb.redis_address import read_redis_address
from sessions.db import limits

BASE_DIR = Path(__file__).resolve().parent.parent


env = FromEnvironmentOrFile()

# --- which installation this is -------------------------------------------------------------------

CHAINWEB_AWS = env.str("CHAINWEB_AWS", default="simulated")
if CHAINWEB_AWS not in {"simulated", "real"}:
    raise ImproperlyConfigured("CHAINWEB_AWS is either 'simulated' or 'real'.")
SIMULATED = CHAINWEB_AWS == "simulated"

DATA_FOLDER = embedded.data_folder(env.ENVIRON)
IS_EMBEDDED = not env.str("DATABASE_URL", default="")


def embedded_key(name: str) -> str:
    """Return a generated key of the embedded data folder; empty in production."""
    path = DATA_FOLDER / name
    return path.read_text().strip() if IS_EMBEDDED and path.is_file() else ""


# An environment value that is set but empty means "none": so the supervisor keeps the private root
# keys from the web process.
SECRET_KEY = env.str("SECRET_KEY", default=embedded_key("secret_key"))
CHAINWEB_SEAL_KEYS = env.str("CHAINWEB_SEAL_KEYS", default=embedded_key("seal_keys"))
CHAINWEB_ROOT_PUBLIC_KEY = env.str(
    "CHAINWEB_ROOT_PUBLIC_KEY", default=embedded_key("root_public_key")
)
CHAINWEB_ROOT_KEYS = env.str("CHAINWEB_ROOT_KEYS", default=embedded_key("root_keys"))
# Workers sign where the ledger ends with the first; everybody verifies with the second.
CHAINWEB_CHECKPOINT_KEY = env.str("CHAINWEB_CHECKPOINT_KEY", default=embedded_key("checkpoint_key"))
CHAINWEB_CHECKPOINT_PUBLIC_KEY = env.str(
    "CHAINWEB_CHECKPOINT_PUBLIC_KEY", default=embedded_key("checkpoint_public_key")
)
# Where workers send checkpoints, outside the database.
CHAINWEB_CHECKPOINT_FILE = env.str(
    "CHAINWEB_CHECKPOINT_FILE",
    default=str(DATA_FOLDER / "checkpoints.jsonl") if IS_EMBEDDED else "",
)
CHAINWEB_CHECKPOINT_WEBHOOK = env.https_url("CHAINWEB_CHECKPOINT_WEBHOOK")
# Whose signed tokens (OIDC) robots may exchange, by their addresses; and the authorities of their
# certificates, where these are not the system's.
CHAINWEB_OIDC_ISSUERS = env.issuers("CHAINWEB_OIDC_ISSUERS")
CHAINWEB_OIDC_CA = env.str("CHAINWEB_OIDC_CA", default="")
# Where workers stream issues and deliveries to: docs/siem.
CHAINWEB_SIEM_FILE = env.str("CHAINWEB_SIEM_FILE", default="")
CHAINWEB_SIEM_LOOKUP_FILE = env.str("CHAINWEB_SIEM_LOOKUP_FILE", default="")
CHAINWEB_SIEM_SYSLOG = env.syslog_url("CHAINWEB_SIEM_SYSLOG")
CHAINWEB_SIEM_WEBHOOK = env.https_url("CHAINWEB_SIEM_WEBHOOK")
CHAINWEB_SIEM_WEBHOOK_KEYS = env.webhook_keys("CHAINWEB_SIEM_WEBHOOK_KEYS")
CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION = env.header("CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION")
if CHAINWEB_SIEM_WEBHOOK and not CHAINWEB_SIEM_WEBHOOK_KEYS:
    raise ImproperlyConfigured("CHAINWEB_SIEM_WEBHOOK needs CHAINWEB_SIEM_WEBHOOK_KEYS.")
CHAINWEB_SIEM_CA = env.str("CHAINWEB_SIEM_CA", default="")
# Where the simulated AWS takes console sign-ins; real ones go to AWS's own hosts, and nowhere else.
CONSOLE_FEDERATION_URL = env.str("CHAINWEB_CONSOLE_FEDERATION_URL", default="") if SIMULATED else ""
SNIPPET_ENDPOINT_URL = env.str("CHAINWEB_SNIPPET_ENDPOINT_URL", default="") if SIMULATED else ""

# Read where no Django is known (sessions.aws), from the environment alone: what a file says is put
# there.
if token_files := env.str("CHAINWEB_WEB_IDENTITY_TOKEN_FILES", default=""):
    os.environ["CHAINWEB_WEB_IDENTITY_TOKEN_FILES"] = token_files

DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Behind a TLS-terminating proxy that sets X-Forwarded-Proto itself and adds the client to
# X-Forwarded-For; never on by default, or a client could claim https, and be another at each
# login.
BEHIND_TLS_PROXY = env.bool("BEHIND_TLS_PROXY", default=False)

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "[::1]", "::1", "testserver"}
if DEBUG and not set(ALLOWED_HOSTS) <= LOOPBACK_HOSTS:
    raise ImproperlyConfigured(
        "DEBUG shows local variables to everyone; it is refused unless every ALLOWED_HOSTS is"
        " loopback."
    )

# --- Django ---------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "sessions",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "lucide",
    # Not "ninja": its app brings the pages of its documentation alone, and costs every process 0.2
    # s of its start.
]

MIDDLEWARE = [
    # It only reads headers; error pages ask what it has read, whatever was refused.
    "django_htmx.middleware.HtmxMiddleware",
    "sessions.middleware.api_errors.api_errors",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "sessions.middleware.headers.response_headers",
    "sessions.middleware.origin.say_where_from",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "sessions.middleware.too_often.TooOftenMiddleware",
]

# Files are taken at one page alone.
FILE_UPLOAD_HANDLERS = [
    "sessions.middleware.uploads.ConfigFiles",
    "sessions.middleware.uploads.LogFiles",
]
ROOT_URLCONF = "chainweb.urls"
WSGI_APPLICATION = "chainweb.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "sessions.context_processors.page",
            ],
        },
    }
]

DATABASES: dict[str, dict[str, Any]]
# What the web waits for a lock and for a statement; after how long a transaction that does nothing
# is ended. 0: no bound.
DAY = 24 * 3600
LOCK_TIMEOUT_SECONDS = env.within("CHAINWEB_LOCK_TIMEOUT_SECONDS", 2.0, 0, DAY)
STATEMENT_TIMEOUT_SECONDS = env.within("CHAINWEB_STATEMENT_TIMEOUT_SECONDS", 10.0, 0, DAY)
IDLE_IN_TRANSACTION_SECONDS = env.within(
    "CHAINWEB_IDLE_IN_TRANSACTION_TIMEOUT_SECONDS", 30.0, 0, DAY
)
if IS_EMBEDDED:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_FOLDER / "db.sqlite3",
            # A connection is kept: to open the file and prepare it takes three times as long as a
            # short request.
            "CONN_MAX_AGE": 60,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # FULL: a commit that reported success survives a power cut, since the event must be
                # durable before its secret is opened. recursive_triggers: without it INSERT OR
                # REPLACE passes a DELETE trigger.
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA"
                    " recursive_triggers=ON; PRAGMA secure_delete=ON;"
                ),
            },
        }
    }
else:
    DATABASES = {"default": env.db_url("DATABASE_URL")}
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    if "postgresql" not in DATABASES["default"]["ENGINE"]:
        raise ImproperlyConfigured(
            "DATABASE_URL must name a PostgreSQL database; leave it unset for the embedded SQLite."
        )
    # Closed by the garbage collector, such a cursor aborts the transaction that is open by then.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
    limits.set_tcp_timeouts(DATABASES["default"])
    limits.disable_jit(DATABASES["default"])
    limits.limit_idle_transactions(DATABASES["default"], idle_seconds=IDLE_IN_TRANSACTION_SECONDS)

# Read by `migrate`: the role that web and workers connect as, where that is not the tables' owner.
CHAINWEB_DATABASE_APP_ROLE = env.str("CHAINWEB_DATABASE_APP_ROLE", default="")

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Holds the limits on login. In the database: the same for all web processes, and there when the
# broker is not.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "chainweb_cache",
        # Django's own 300 would let whoever tries some hundred names have the counts of the others
        # thrown out.
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
# One language: the catalog in sessions/locale says allauth's texts in our words.
USE_I18N = True
LANGUAGES = [("en", "English")]

STATIC_URL = "static/"
# Where an image has collected its static files. From a checkout there is no such folder: WhiteNoise
# serves them where they lie.
STATIC_ROOT = env.str("STATIC_ROOT", default="") or None
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
WHITENOISE_AUTOREFRESH = False
if STATIC_ROOT:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

# --- people ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "chains.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "sessions.login.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_FORMS = {"reset_password": "sessions.login.addresses.ResetPasswordForm"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
ACCOUNT_USERNAME_VALIDATORS = "sessions.login.adapters.username_validators"
# The key of failures is a name together with an address or a browser: see sessions.login.adapters.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key"}
ACCOUNT_SESSION_REMEMBER = True  # for SESSION_COOKIE_AGE, whoever logs in
ACCOUNT_CHANGE_EMAIL = True
# Sensitive things want a login or a confirmation of at most this age.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
# Whoever passes by may make an account (in no team) only if the operator says so; who is invited
# may anyway.
CHAINWEB_OPEN_SIGNUP = env.bool("CHAINWEB_OPEN_SIGNUP", default=False)
# The client's address comes from the proxy's X-Forwarded-For only where there is one.
ALLAUTH_TRUSTED_PROXY_COUNT = env.within(
    "TRUSTED_PROXY_COUNT", 1 if BEHIND_TLS_PROXY else 0, 0, 100
)

MFA_ADAPTER = "sessions.login.adapters.MfaAdapter"
MFA_FORMS = {
    "authenticate_webauthn": "sessions.login.passkeys.AuthenticateForm",
    "login_webauthn": "sessions.login.passkeys.LoginForm",
    "reauthenticate_webauthn": "sessions.login.passkeys.ReauthenticateForm",
    "edit_webauthn": "sessions.login.passkeys.EditForm",
}
USERSESSIONS_ADAPTER = "sessions.login.adapters.UserSessionsAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Chainweb"
MFA_ALLOW_UNVERIFIED_EMAIL = True
# Browsers allow passkeys on https and on http://localhost; the library has to be told of the
# second.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = IS_EMBEDDED

# --- mail -----------------------------------------------------------------------------------------

# Without EMAIL_URL (smtp+tls://user:password@host:587) nothing is sent, and the page for lost
# passwords says so.
EMAIL_URL = env.str("EMAIL_URL", default="")
MAIL_ENABLED = bool(EMAIL_URL)
if MAIL_ENABLED:
    vars().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="chainweb@localhost")
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Chainweb] "
ACCOUNT_EMAIL_NOTIFICATIONS = MAIL_ENABLED
# Nobody is kept out for it, but an address that is not verified resets no password: see
# sessions.login.addresses.
ACCOUNT_EMAIL_VERIFICATION = "optional" if MAIL_ENABLED else "none"

# --- identity providers ---------------------------------------------------------------------------

# OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET switch it on. OIDC_GROUPS, "group=team:role,…",
# says what a person's groups (the claim OIDC_GROUPS_CLAIM) make them; without it they come in by
# invitation, or log in to an account they have.
SOCIALACCOUNT_ADAPTER = "sessions.login.adapters.SocialAccountAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_FORMS = {"reset_password": "sessions.login.addresses.ResetPasswordForm"}
SOCIALACCOUNT_EMAIL_AUTHENTICATION = (
    False  # an address is no proof: accounts are connected by their owners, logged in
)
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5
SOCIALACCOUNT_OPENID_CONNECT_URL_PREFIX = "oidc"
OIDC_ISSUER = env.str("OIDC_ISSUER", default="").rstrip("/")
OIDC_GROUPS_CLAIM = env.str("OIDC_GROUPS_CLAIM", default="groups")
OIDC_GROUPS = identity.parse_group_map("OIDC_GROUPS", env.str("OIDC_GROUPS", default=""))
# Whom groups have let in is out this long after the last login at which they were read: who has
# left is in no group any more, but no provider says so unasked.
CHAINWEB_GROUPS_MAX_AGE_HOURS = env.float("CHAINWEB_GROUPS_MAX_AGE_HOURS", default=24.0)
if not 0 < CHAINWEB_GROUPS_MAX_AGE_HOURS <= 24 * 366:
    raise ImproperlyConfigured("CHAINWEB_GROUPS_MAX_AGE_HOURS is more than 0 and at most a year.")
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {"openid_connect": {"APPS": []}}
if OIDC_ISSUER:
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = identity.oidc_provider(
        OIDC_ISSUER,
        env.str("OIDC_CLIENT_ID"),
        env.str("OIDC_CLIENT_SECRET"),
        name=env.str("OIDC_NAME", default="single sign-on"),
        scopes=env.list("OIDC_SCOPES", default=["openid", "profile", "email"]),
    )

# The extra `saml` (requirements-saml.txt) has to be installed; SAML_IDP_METADATA_URL switches it
# on.
SAML_IDP_METADATA_URL = env.str("SAML_IDP_METADATA_URL", default="")
SAML_GROUPS_ATTRIBUTE = env.str("SAML_GROUPS_ATTRIBUTE", default="groups")
SAML_GROUPS = identity.parse_group_map("SAML_GROUPS", env.str("SAML_GROUPS", default=""))
if SAML_IDP_METADATA_URL:
    INSTALLED_APPS.append("sessions.login.saml")
    SOCIALACCOUNT_PROVIDERS["saml"] = identity.saml_provider(
        env.str("SAML_IDP_ENTITY_ID"), SAML_IDP_METADATA_URL, env.str("SAML_NAME", default="SAML")
    )

# --- what browsers are told -----------------------------------------------------------------------

SECURE_COOKIES = env.bool("SECURE_COOKIES", default=not IS_EMBEDDED)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
# Named per installation: a browser keeps the cookies of all ports of one host together, and two
# installations that shared a name would log each other's people out.
INSTALLATION = hashlib.sha256(b"installation:" + SECRET_KEY.encode()).hexdigest()[:8]
_prefix = "__Host-" if SECURE_COOKIES else ""
SESSION_COOKIE_NAME = f"{_prefix}chainweb-{INSTALLATION}"
CSRF_COOKIE_NAME = f"{_prefix}csrftoken-{INSTALLATION}"
KNOWN_BROWSER_COOKIE_NAME = f"{_prefix}known-{INSTALLATION}"
# Django's default would keep messages in a cookie called "messages", one for all.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# From the login on, whatever is saved in between: see sessions.login.session_store.
SESSION_COOKIE_AGE = 12 * 3600
SESSION_ENGINE = "sessions.login.session_store"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# HSTS for subdomains and on the browsers' preload list: both bind the whole domain, so they are its
# owner's to switch on, at the proxy, and not one application's.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_HSTS_SECONDS = env.within("HSTS_SECONDS", 31_536_000, 0, 10 * 31_536_000)

# --- queue ----------------------------------------------------------------------------------------

REDIS = read_redis_address(
    env.str("REDIS_URL", default="") or f"unix://{embedded.socket_path(DATA_FOLDER)}",
    env.str("CHAINWEB_REDIS_CA", default=""),
)
REDIS_URL, REDIS_TLS = REDIS.url, REDIS.tls
CELERY_BROKER_URL = REDIS.celery_url
CELERY_BROKER_USE_SSL = REDIS_TLS or False
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_IMPORTS = ["sessions.engine.watchdog"]
CELERY_TASK_DEFAULT_QUEUE = "chainweb"
# Starts have a queue and a worker of their own, so that somebody who waits never waits for bulk
# rotation. A worker that is told of no queue serves both.
STARTS_QUEUE = "chainweb-starts"
CELERY_TASK_QUEUES = [Queue(name, routing_key=name) for name in ("chainweb", STARTS_QUEUE)]
CELERY_TASK_ROUTES = {
    "sessions.tasks.rotate_asked": {"queue": STARTS_QUEUE},
    "sessions.tasks.look_at_approvals": {"queue": STARTS_QUEUE},
    "sessions.tasks.get_sign_in_tokens": {"queue": STARTS_QUEUE},
}
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TIMEZONE = "UTC"
# A page's commit waits for the broker no longer than this; beat finds the due work anyway.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 0.5,
    "socket_timeout": 2,
    "visibility_timeout": 3600,
}
CELERY_TASK_PUBLISH_RETRY = False
# For the chaos run alone: divides every duration of the engine.
CHAINWEB_TIME_COMPRESSION = env.within("CHAINWEB_TIME_COMPRESSION", 1.0, 0.001, 1000)
TICK_SECONDS = max(5.0 / CHAINWEB_TIME_COMPRESSION, 0.5)
CHECKPOINT_SECONDS = max(300.0 / CHAINWEB_TIME_COMPRESSION, 5.0)
NAMES_SECONDS = max(60.0 / CHAINWEB_TIME_COMPRESSION, 5.0)
CELERY_BEAT_SCHEDULE = {
    "tick": {
        "task": "sessions.tasks.tick",
        "schedule": TICK_SECONDS,
        "options": {"expires": 3 * TICK_SECONDS},
    },
    "names": {
        "task": "sessions.tasks.count_names",
        "schedule": NAMES_SECONDS,
        "options": {"expires": NAMES_SECONDS},
    },
    # Without a file for it, which beat need not know of, it does nothing.
    "lookup": {
        "task": "sessions.tasks.write_lookup_file",
        "schedule": NAMES_SECONDS,
        "options": {"expires": NAMES_SECONDS},
    },
    "trail": {
        "task": "sessions.tasks.compare_trail",
        "schedule": NAMES_SECONDS,
        "options": {"expires": NAMES_SECONDS},
    },
}

# --- how the engine works -------------------------------------------------------------------------

# How long a worker that died keeps what it was working on.
CHAINWEB_LEASE_SECONDS = env.within("CHAINWEB_LEASE_SECONDS", 20.0, 0.1, 3600)
CHAINWEB_BATCH_SIZE = env.within("CHAINWEB_BATCH_SIZE", 500, 1, 10_000)
CHAINWEB_STS_THREADS = env.within("CHAINWEB_STS_THREADS", 48, 1, 1000)
# Per calling account, over all workers; 0: no limit. STS's own quota is about 600 per account and
# region.
CHAINWEB_CALLS_PER_SECOND = env.within("CHAINWEB_CALLS_PER_SECOND", 100.0, 0, 1_000_000)
# Which self-refreshing form the pages recommend: botocore ignores a private CA at an endpoint.
CHAINWEB_PRIVATE_CA = env.bool("CHAINWEB_PRIVATE_CA", default=False)
# Of credentials, by one token or by one person in the pages, in the long run; 0: no limit.
CHAINWEB_FETCHES_PER_MINUTE = env.within("CHAINWEB_FETCHES_PER_MINUTE", 1200, 0, 1_000_000)
# For the chaos run alone: ends a worker right after a named step.
CHAINWEB_CHAOS_KILL_AFTER = env.str("CHAINWEB_CHAOS_KILL_AFTER", default="")

LOGGING_CONFIG = None
try:
    logs.configure(level=env.str("LOG_LEVEL", default="INFO"))
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from None
logs.set_secrets(
    [
        SECRET_KEY,
        *(
            each.strip().partition(":")[2]
            for keys in (CHAINWEB_SEAL_KEYS, CHAINWEB_ROOT_KEYS, CHAINWEB_CHECKPOINT_KEY)
            for each in keys.split(",")
        ),
        CHAINWEB_CHECKPOINT_WEBHOOK,
        CHAINWEB_SIEM_WEBHOOK,
        CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION,
        *env.list("CHAINWEB_SIEM_WEBHOOK_KEYS", default=[]),
        env.str("OIDC_CLIENT_SECRET", default=""),
        str(DATABASES["default"].get("PASSWORD", "")),
        vars().get("EMAIL_HOST_PASSWORD") or "",
        unquote(urlsplit(REDIS_URL).password or ""),
    ]
)
