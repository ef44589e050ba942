"""Records are read as people would: who acted, and which session made which."""

import pytest

from sessions.aws.cloudtrail.actors import Actor, NamedBy
from sessions.aws.cloudtrail.parties import By
from tests.aws.cloudtrail.samples import (
    ACCOUNT,
    CHILD_KEY,
    ROLE_ID,
    SESSION_KEY,
    USER_KEY,
    assumed,
    event,
    reading,
    record,
    role,
    sso,
    user,
)


def who(identity, **more):
    found = reading(event(identity=identity, **more)).who
    return found.actor, found.name, found.named_by


def test_an_iam_user_is_a_person_that_aws_vouches_for():
    found = reading(event())
    assert who(user()) == (Actor.PERSON, "Alice", NamedBy.IAM_USER)
    assert found.who.sure
    assert found.parent.label == "Alice"
    assert found.parent.links == ()


def test_a_user_without_a_name_is_named_by_the_arn():
    assert who(user("Bob", userName="", arn=f"arn:aws:iam::{ACCOUNT}:user/team/Bob"))[1] == "Bob"


def test_a_session_of_identity_center_is_the_user_of_its_name():
    found = reading(event(identity=sso("admin")))
    assert (found.who.actor, found.who.name) == (Actor.PERSON, "admin")
    assert found.who.named_by is NamedBy.IDENTITY_CENTER_NAME
    assert found.who.sure


def test_an_address_in_a_session_name_is_a_person_that_somebody_typed():
    found = reading(event(identity=role("ada@example.com")))
    assert (found.who.name, found.who.named_by) == ("ada@example.com", NamedBy.SESSION_NAME)
    assert not found.who.sure


def test_a_handle_in_a_session_name_is_a_person():
    assert who(role("NikkiWolf"))[:2] == (Actor.PERSON, "NikkiWolf")


def test_a_source_identity_goes_before_the_session_name():
    found = reading(event(identity=role("deploy-1", context={"sourceIdentity": "AdaL"})))
    assert (found.who.name, found.who.named_by) == ("AdaL", NamedBy.SOURCE_IDENTITY)
    assert found.also == ((NamedBy.SESSION_NAME, "deploy-1"),)


def test_a_source_identity_that_differs_is_shown_beside_the_person():
    identity = sso(context={"sourceIdentity": "bob"}, onBehalfOf={"userId": "9448-1"})
    found = reading(event(identity=identity))
    assert found.who.name == "ada@example.com"
    assert found.also == (
        (NamedBy.SOURCE_IDENTITY, "bob"),
        (NamedBy.IDENTITY_CENTER_ID, "9448-1"),
    )
    assert found.user_id == "9448-1"


def test_a_user_id_names_the_person_of_an_identity_enhanced_session():
    found = reading(event(identity=role("app-1", onBehalfOf={"userId": "9448-1"})))
    assert (found.who.name, found.who.named_by) == ("9448-1", NamedBy.IDENTITY_CENTER_ID)


@pytest.mark.parametrize(
    "name",
    [
        "aws-sdk-session-1717171717",
        "aws-go-sdk-1722587398902687000",
        "botocore-session-1700000000",
        "web-identity-token-1700000000000",
        "AWSCLI-Session",
        "session",
        "my-session",
        "SampleSession",
        "ConfigResourceCompositionSession",
        "user.name",
        "Admin-user",
        "JohnRole1",
        "1700000000",
        "01234567-89ab-cdef-0123-456789abcdef",
        "XXXXXXXXXXX",
        "...",
    ],
)
def test_a_name_that_says_nothing_names_nobody(name):
    assert who(role(name))[:2] == (Actor.NOBODY, "")


@pytest.mark.parametrize(
    "name",
    [
        "i-0317f6c6b66ae9c40",
        "i-786a3A8B5C0d92eF4",
        "GitHubActions",
        "CognitoIdentityCredentials",
        "AWSBackup-Restore",
        "ecs-task",
        "my-lambda",
        "6634485805@65e4b17a18e0f86c7b608703ec4a8340c3461d01",
        "01K6DZ7S8Q1CN6YW2VW82JCYYX@workload-prod_us-west-2_infrastruc",
        "build-pipeline-7",
    ],
)
def test_the_name_of_a_program_is_a_workload(name):
    assert who(role(name))[0] is Actor.WORKLOAD


@pytest.mark.parametrize(
    "identity",
    [
        role("resize", context={"ec2RoleDelivery": "2.0"}),
        role("resize", inScopeOf={"credentialsIssuedTo": "arn:aws:lambda:eu-west-1:1:function:f"}),
        role(
            "deploy",
            context={
                "webIdFederationData": {
                    "federatedProvider": "arn:aws:iam::1:oidc-provider/token.actions.example"
                }
            },
        ),
        role("resize", name="resize-role-x1y2"),
    ],
)
def test_a_plain_name_is_a_workloads_where_the_record_says_what_runs(identity):
    assert who(identity)[0] is Actor.WORKLOAD


def test_an_sdk_that_says_it_runs_in_a_function_is_a_workload():
    agent = "aws-sdk-go/1.55 exec-env/AWS_Lambda_provided.al2"
    assert who(role("resize"), userAgent=agent)[0] is Actor.WORKLOAD


@pytest.mark.parametrize(
    "identity",
    [
        {"type": "AWSService", "invokedBy": "config.amazonaws.com"},
        {"accountId": ACCOUNT, "invokedBy": "config.amazonaws.com"},
        role("AutoScalingDescribeHandlerSession", invokedBy="config.amazonaws.com"),
        role("scheduler", path="/aws-service-role/config.amazonaws.com/", name="AWSServiceRoleX"),
        role("ada", path="/aws-service-role/config.amazonaws.com/", name="X"),
    ],
)
def test_a_service_that_acts_on_its_own_is_no_person(identity):
    assert who(identity)[:2] == (Actor.SERVICE, "config.amazonaws.com")


def test_a_service_that_passes_on_a_persons_call_leaves_it_hers():
    identity = sso(invokedBy="aws-mcp.amazonaws.com")
    assert who(identity, sourceIPAddress="aws-mcp.amazonaws.com")[1] == "ada@example.com"
    assert who(role("NikkiWolf", invokedBy="cloudformation.amazonaws.com"))[1] == "NikkiWolf"
    assert who(user(invokedBy="AWS Internal"))[1] == "Alice"


def test_root_names_nobody():
    root = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root"}
    assert who(root) == (Actor.ROOT, "", NamedBy.NOTHING)


@pytest.mark.parametrize(
    "identity",
    [
        {},
        "null",
        {"type": "AssumedRole", "principalId": "XXXXXXXXXXX", "arn": "XXXXXXXXXXX"},
        {"type": "IAMUser", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS", "accountId": ACCOUNT},
        {"type": "AWSAccount", "accountId": ACCOUNT, "principalId": "AIDACKCEVSQ6C2EXAMPLE"},
    ],
)
def test_an_identity_without_a_name_is_nobodys(identity):
    assert who(identity)[0] is Actor.NOBODY


def test_masked_values_make_no_side_of_a_call():
    assert reading(event(identity={"type": "AssumedRole", "arn": "XXXXXXXXX"})).parent is None


def test_a_user_of_identity_center_is_named_by_what_was_typed_or_by_id():
    identity = {"type": "IdentityCenterUser", "onBehalfOf": {"userId": "e364-1"}}
    assert who(identity)[1:] == ("e364-1", NamedBy.IDENTITY_CENTER_ID)
    assert who(identity, additionalEventData={"UserName": "ada"})[1] == "ada"
    assert reading(event(identity=identity, additionalEventData={"UserName": "a"})).user_id


def test_the_older_portal_names_its_user_too():
    identity = {"type": "Unknown", "principalId": "1-2", "userName": "ada@example.com"}
    assert who(identity, eventSource="sso.amazonaws.com")[1:] == (
        "ada@example.com",
        NamedBy.IDENTITY_CENTER_NAME,
    )


def test_saml_and_federated_users_are_named_by_what_their_provider_says():
    saml = {"type": "SAMLUser", "principalId": "x=:ada", "userName": "ada@example.com"}
    assert who(saml) == (Actor.PERSON, "ada@example.com", NamedBy.SUBJECT)
    federated = {
        "type": "FederatedUser",
        "principalId": f"{ACCOUNT}:ada",
        "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/ada",
    }
    assert who(federated) == (Actor.PERSON, "ada", NamedBy.FEDERATED_USER)
    assert reading(event(identity=federated)).parent.label == "ada"


def test_a_workflow_of_github_is_named_by_its_subject():
    subject = "repo:example-org/app:ref:refs/heads/main"
    identity = {"type": "WebIdentityUser", "userName": subject, "principalId": f"arn:{subject}"}
    found = reading(assumed(identity, "deploy") | {"eventName": "AssumeRoleWithWebIdentity"})
    assert (found.who.actor, found.who.name) == (Actor.WORKLOAD, subject)
    person = reading(assumed(identity, "ada@example.com"))
    assert (person.who.actor, person.who.name) == (Actor.PERSON, "ada@example.com")


def test_the_role_side_of_a_call_names_the_caller_by_source_identity():
    identity = {"type": "AWSAccount", "principalId": "AIDAEXAMPLE", "accountId": "777788889999"}
    found = reading(assumed(identity, asked={"sourceIdentity": "JohnDoe"}))
    assert (found.who.name, found.who.named_by) == ("JohnDoe", NamedBy.SOURCE_IDENTITY)
    assert found.parent.account == "777788889999"


def test_both_copies_of_one_call_have_one_id():
    caller = record(assumed(user(), sharedEventID="s-1", eventID="e-1"))
    other = record(assumed({"type": "AWSAccount"}, sharedEventID="s-1", eventID="e-2"))
    assert caller.call_id == other.call_id == "s-1"


def test_the_key_in_an_answer_joins_the_session_to_its_calls():
    hop = reading(assumed(user()))
    call = reading(event(identity=role("ada", accessKeyId=CHILD_KEY)))
    assert hop.is_hop
    assert hop.parent.access_key_id == USER_KEY
    assert hop.child.label == "Reader/ada"
    assert hop.child.role_arn.endswith(":role/team/Reader")
    assert hop.child.links[0] == call.parent.links[0]
    assert hop.child.links[0].by is By.KEY


def test_a_key_that_is_the_callers_own_makes_no_circle():
    hop = reading(assumed(role(), key=SESSION_KEY))
    assert By.KEY not in {link.by for link in hop.child.links}
    assert set(hop.parent.links).isdisjoint(hop.child.links)
    assert "own" in hop.notes[0]


@pytest.mark.parametrize("key", [USER_KEY, "ASIA11111111111111", "XXXXXXXXXXXXXXX", "SAMPLE_KEY"])
def test_a_key_that_no_session_can_have_joins_nothing(key):
    hop = reading(assumed(user(accessKeyId="AKIAI44QH8DHBEXAMPLE"), key=key))
    assert {link.by for link in hop.child.links} == {By.SESSION}


def test_a_session_is_joined_by_principal_and_beginning_whatever_its_key():
    saml = {"type": "SAMLUser", "userName": "ada@example.com"}
    hop = assumed(saml, "ada@example.com", eventTime="2026-07-01T08:00:00Z")
    hop["responseElements"]["assumedRoleUser"]["assumedRoleId"] = f"{ROLE_ID}:ada@example.com"
    call = reading(event(identity=sso(accessKeyId="ASIAQ5OTHEREXAMPLE12")))
    joined = set(reading(hop).child.links) & set(call.parent.links)
    assert {link.by for link in joined} == {By.SESSION}


def test_aws_login_gives_the_console_session_further_keys_and_no_hop():
    console = sso(accessKeyId="")
    grant = reading(event("CreateOAuth2Token", console, eventSource="signin.amazonaws.com"))
    call = reading(event(identity=sso()))
    assert record(event("CreateOAuth2Token", console)).issued.same_session
    assert not grant.is_hop
    assert set(grant.parent.links) <= set(call.parent.links)


def test_a_sign_in_session_joins_an_agents_calls():
    arn = "arn:aws:signin:eu-west-1:111122223333:session/a90e1d90"
    grant = reading(
        event("CreateOAuth2Token", sso(), additionalEventData={"signInSessionArn": arn})
    )
    call = reading(event(identity=sso(accessKeyId=CHILD_KEY, context={"signInSessionArn": arn})))
    joined = set(grant.parent.links) & set(call.parent.links)
    assert {link.by for link in joined} == {By.SIGN_IN, By.SESSION}


def test_switch_role_is_the_act_of_who_switched():
    identity = {
        "type": "AssumedRole",
        "principalId": f"{ROLE_ID}:Alice",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/Alice",
        "accountId": ACCOUNT,
    }
    switch = event(
        "SwitchRole",
        identity,
        eventTime="2026-07-01T08:00:00Z",
        eventType="AwsConsoleSignIn",
        responseElements={"SwitchRole": "Success"},
        additionalEventData={"SwitchFrom": "arn:aws:iam::999999999999:user/Alice"},
    )
    found = reading(switch)
    assert (found.who.name, found.who.named_by) == ("Alice", NamedBy.IAM_USER)
    assert (found.parent.account, found.parent.label) == ("999999999999", "Alice")
    assert (found.child.account, found.child.label) == (ACCOUNT, "Admin/Alice")
    call = reading(event(identity=role("Alice", name="Admin")))
    assert set(found.child.links) <= set(call.parent.links)


def test_switch_role_out_of_identity_center_is_its_users_act():
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_12/ada@example.com"
    found = reading(event("SwitchRole", role(), additionalEventData={"SwitchFrom": arn}))
    assert found.who.named_by is NamedBy.IDENTITY_CENTER_NAME
    assert found.parent.label == "AWSReservedSSO_Admin_12/ada@example.com"


def test_assume_root_makes_a_session_of_the_members_root():
    hop = reading(
        event(
            "AssumeRoot",
            role(),
            requestParameters={"targetPrincipal": "222222222222"},
            responseElements={"credentials": {"accessKeyId": SESSION_KEY}},
        )
    )
    root = {
        "type": "Root",
        "principalId": "222222222222",
        "arn": "arn:aws:iam::222222222222:root",
        "accessKeyId": SESSION_KEY,
        "sessionContext": {"attributes": {"creationDate": "2026-07-01T08:30:00Z"}},
    }
    call = reading(event(identity=root))
    assert hop.child.arn == "arn:aws:iam::222222222222:root"
    assert hop.child.account == "222222222222"
    joined = set(hop.child.links) & set(call.parent.links)
    assert {link.by for link in joined} == {By.SESSION}
    assert set(hop.parent.links).isdisjoint(hop.child.links)


def test_a_federation_token_makes_a_session_of_the_named_user():
    hop = reading(
        event(
            "GetFederationToken",
            requestParameters={"name": "ada"},
            responseElements={
                "credentials": {"accessKeyId": CHILD_KEY},
                "federatedUser": {"federatedUserId": f"{ACCOUNT}:ada", "arn": "arn:x"},
            },
        )
    )
    assert hop.child.label == "ada"
    assert {link.by for link in hop.child.links} == {By.KEY, By.SESSION}


def test_a_session_token_makes_a_session_of_the_same_user():
    answer = {"credentials": {"accessKeyId": CHILD_KEY}}
    hop = reading(event("GetSessionToken", user(), responseElements=answer))
    assert hop.child.label == "Alice"
    assert hop.child.arn == hop.parent.arn


def test_account_access_manager_assumes_the_role_for_a_person():
    service = {"type": "AWSService", "invokedBy": "account-access.amazonaws.com"}
    hop = reading(assumed(service, "ada@example.com"))
    assert (hop.who.actor, hop.parent) == (Actor.SERVICE, None)
    assert hop.child.session_name == "ada@example.com"
    call = reading(event(identity=role("ada@example.com", name="Reader")))
    assert call.who.name == "ada@example.com"


def test_a_permission_set_is_no_session_yet():
    found = reading(
        event(
            "GetRoleCredentials",
            {"type": "IdentityCenterUser", "onBehalfOf": {"userId": "9448-1"}},
            serviceEventDetails={"role_name": "Admin", "account_id": "444455556666"},
        )
    )
    assert not found.is_hop
    assert found.notes == ("Permission set Admin in account 444455556666.",)


def test_a_sign_in_that_failed_shows_nobody_present():
    failed = event(
        "ConsoleLogin",
        user(accessKeyId=""),
        eventSource="signin.amazonaws.com",
        eventType="AwsConsoleSignIn",
        errorMessage="Failed authentication",
        responseElements={"ConsoleLogin": "Failure"},
    )
    assert not reading(failed).present
    assert record(failed).failed
    assert not reading(failed).denied
    succeeded = failed | {"errorMessage": None, "responseElements": {"ConsoleLogin": "Success"}}
    assert reading(succeeded).present


def test_a_denied_call_is_an_act_of_its_session():
    for code in ("AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation"):
        found = reading(event(identity=sso(), errorCode=code))
        assert found.denied
        assert found.present
    assert not reading(event(errorCode="EntityTemporarilyUnmodifiableException")).denied


def test_statistics_are_no_call():
    found = {"eventType": "AwsCloudTrailInsight", "insightDetails": {"state": "Start"}}
    assert reading(found).who.actor is Actor.NO_CALL
    assert reading({"insightDetails": {"state": "Start"}}).who.actor is Actor.NO_CALL


def test_contradictions_are_said():
    hop = assumed(role("ada", name="Deploy"))
    hop["responseElements"]["assumedRoleUser"]["arn"] = "arn:aws:sts::1:assumed-role/Other/ada"
    hop["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] = "Another"
    notes = reading(hop).notes
    assert "The answer names another role than the request." in notes
    assert "The role's ARN and its name in the record differ." in notes


def test_account_numbers_in_a_policy_are_no_actors():
    policy = '{"Statement": [{"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}]}'
    found = reading(event("UpdateAssumeRolePolicy", requestParameters={"policyDocument": policy}))
    assert found.child is None
    assert found.parent.account == ACCOUNT


def test_a_call_before_its_sessions_beginning_is_read_all_the_same():
    found = reading(event(identity=role(), eventTime="2026-01-01T00:00:00Z"))
    assert found.who.name == "ada@example.com"


def test_the_provider_of_a_product_acts_with_access_delegated_to_it():
    identity = role("ada@example.com", invokedByDelegate={"accountId": "999999999999"})
    found = reading(event(identity=identity))
    assert (found.who.actor, found.who.name) == (Actor.WORKLOAD, "999999999999")
    assert found.who.named_by is NamedBy.DELEGATE


def test_a_role_that_acts_without_a_session_names_nobody():
    identity = {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/team/Deploy"}
    found = reading(event(identity=identity))
    assert found.who.actor is Actor.NOBODY
    assert found.parent.role_name == "Deploy"


def test_the_issuer_of_a_federated_user_is_shown_beside_the_name():
    issuer = {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/broker", "userName": "broker"}
    identity = {
        "type": "FederatedUser",
        "principalId": f"{ACCOUNT}:ada",
        "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/ada",
        "sessionContext": {"sessionIssuer": issuer},
    }
    found = reading(event(identity=identity))
    assert found.also[0] == (NamedBy.IAM_USER, "broker")
    assert found.parent.role_name == ""


def test_roles_anywhere_makes_a_session_and_s3_does_not():
    made = {
        "assumedRoleUser": {"assumedRoleId": "AROAX:0a1b", "arn": "arn:x"},
        "credentials": {"accessKeyId": CHILD_KEY},
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/Host",
        "sourceIdentity": "CN=host",
    }
    unknown = {"type": "Unknown"}
    hop = reading(event("CreateSession", unknown, responseElements={"credentialSet": [made]}))
    assert hop.child.label == "Host/0a1b"
    assert hop.child.links[0].value == CHILD_KEY
    s3 = {"credentials": {"accessKeyId": CHILD_KEY}}
    assert not reading(event("CreateSession", role(), responseElements=s3)).is_hop
    cognito = event("GetCredentialsForIdentity", unknown, responseElements=s3)
    assert reading(cognito).child.links[0].value == CHILD_KEY
