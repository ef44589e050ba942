"""Check what each process may see of the environment."""

from chainweb.local.processes import without_our_settings, without_worker_secrets

SECRETS = {
    "SECRET_KEY": "canary",
    "DATABASE_URL": "postgres://chainweb:canary@database/chainweb",
    "REDIS_URL_FILE": "/run/secrets/canary",
    "CHAINWEB_SEAL_KEYS": "canary",
    "CHAINWEB_ROOT_KEYS": "canary",
    "CHAINWEB_CHECKPOINT_KEY": "canary",
    "CHAINWEB_CHECKPOINT_KEY_FILE": "/run/secrets/canary",
    "CHAINWEB_CHECKPOINT_WEBHOOK": "https://siem.example/canary",
    "CHAINWEB_SIEM_WEBHOOK": "https://siem.example/canary",
    "CHAINWEB_SIEM_WEBHOOK_KEYS_FILE": "/run/secrets/canary",
    "CHAINWEB_SIEM_WEBHOOK_AUTHORIZATION": "Splunk canary",
    "EMAIL_URL": "smtp+tls://user:canary@mail:587",
    "OIDC_CLIENT_SECRET": "canary",
    "OIDC_CLIENT_SECRET_FILE": "/run/secrets/canary",
    "AWS_SECRET_ACCESS_KEY": "canary",
    "AWS_SESSION_TOKEN": "canary",
}


def test_programs_that_are_not_ours_are_given_no_secret_of_ours():
    assert without_our_settings({**SECRETS, "PATH": "/bin", "LANG": "C"}) == {
        "PATH": "/bin",
        "LANG": "C",
    }


def test_web_and_beat_get_neither_root_keys_nor_workers_identity():
    seen = without_worker_secrets({**SECRETS, "CHAINWEB_ROOT_KEYS_FILE": "/run/secrets/canary"})
    assert seen["CHAINWEB_ROOT_KEYS"] == seen["CHAINWEB_CHECKPOINT_KEY"] == ""
    assert not {"CHAINWEB_CHECKPOINT_KEY_FILE", "CHAINWEB_CHECKPOINT_WEBHOOK"} & seen.keys()
    assert not [name for name in seen if name.startswith("CHAINWEB_SIEM_")]
    assert (
        not {"CHAINWEB_ROOT_KEYS_FILE", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & seen.keys()
    )
