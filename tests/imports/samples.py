"""Small config files of our own; and a folder of real ones, which some licences keep out of here.

`AWS_CONFIG_SAMPLES` and `NEIGHBOUR_SAMPLES` name the folders that hold them.
"""

import os
from pathlib import Path

FOLDERS = [os.environ.get(name, "") for name in ("AWS_CONFIG_SAMPLES", "NEIGHBOUR_SAMPLES")]
KEY = (
    "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
)
ROLE = "role_arn = arn:aws:iam::111122223333:role/{}\n"
PORTAL = "sso_start_url = https://d-1.awsapps.com/start#/\nsso_region = eu-west-1\n"
PAIR = "sso_account_id = 111122223333\nsso_role_name = Reader\n"

SAMPLES = {
    "chain": (
        f"[default]\nregion = eu-west-1\noutput = json\n\n[profile top]\n{ROLE.format('Top')}"
        "source_profile = mid\nexternal_id = abc\nduration_seconds = 900\n"
        f"[profile mid]\n{ROLE.format('Mid')}source_profile = base\n"
        "mfa_serial = arn:aws:iam::111122223333:mfa/maria\n"
        f"[profile base]\nregion = eu-west-2\n{KEY}"
    ),
    "identity center": (
        f"[sso-session s]\n{PORTAL}sso_registration_scopes = sso:account:access\n"
        f"[profile a]\nsso_session = s\n{PAIR}region = eu-west-1\n"
        f"[profile legacy]\n{PORTAL}{PAIR}"
        f"[profile on-a]\n{ROLE.format('OnA')}source_profile = a\nregion = eu-west-1\n"
    ),
    "own source": f"[profile both]\n{ROLE.format('Both')}source_profile = both\n{KEY}",
    "key as a source": (
        f"[profile a]\n{ROLE.format('A')}source_profile = b\n"
        f"[profile b]\n{KEY}{ROLE.format('B')}source_profile = c\n[profile c]\n{KEY}"
    ),
    "machine": (
        f"[profile m]\n{ROLE.format('M')}credential_source = EcsContainer\nregion = eu-west-1\n"
    ),
    "other sections": (
        "[default]\nregion = eu-west-1\ns3 =\n    max_concurrent_requests = 100\n"
        "    addressing_style = path\nservices = mine\n[services mine]\ns3 =\n"
        "  endpoint_url = https://localhost:5678/\n[plugins]\nx = y\n[preview]\ncloudfront = true\n"
        "[granted_registry_start team]\n[profile team.a]\nkey = value\n"
        "[granted_registry_end team]\n"
    ),
    "refused": (
        "[profile cmd]\ncredential_process = pass show \"a b\" | jq '{Version: 1}'\n"
        f"[profile on-cmd]\n{ROLE.format('OnCmd')}source_profile = cmd\n"
        "[profile word]\nrole_arn = arn:aws:iam::ACCOUNT:role/R\nsource_profile = cmd\n"
        '[profile "two words"]\nregion = eu-west-1\n[profile "lost]\n[bare]\nregion = x\n'
    ),
    "fragments": (
        "[profile common]\nregion = eu-west-1\nsource_profile = root\n"
        f"[profile root]\ninclude_profile = common\n"
        f"[profile dev]\ninclude_profile = common\n{ROLE.format('Dev')}"
    ),
}


def folder_files(*endings):
    """List the files of the folders, if they are named, by the ends of their names."""
    return sorted(
        path
        for folder in FOLDERS
        if folder
        for path in Path(folder).iterdir()
        if path.name.endswith(endings)
    )
