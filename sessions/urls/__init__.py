"""The pages' addresses, and the API's."""

from django.urls import path

from sessions.api import api
from sessions.views import (
    acting,
    answering,
    choosing,
    components,
    editing,
    health,
    joining,
    keys,
    metrics,
    people,
    preview,
    reading,
    sharing,
    team_policy,
    tokens,
)

urlpatterns = [
    path("", reading.home, name="home"),
    path("teams/<slug:team_slug>/", reading.session_list, name="session_list"),
    path("teams/<slug:team_slug>/new/", editing.new_session, name="new_session"),
    path(
        "teams/<slug:team_slug>/new/<slug:provider>/", editing.new_session_method, name="new_session_method"
    ),
    path(
        "teams/<slug:team_slug>/new/<slug:provider>/<slug:kind>/",
        editing.new_session_form,
        name="new_session_form",
    ),
    path("teams/<slug:team_slug>/choices/<slug:purpose>/", choosing.session_choices, name="session_choices"),
    path("teams/<slug:team_slug>/test/<slug:kind>/", editing.test_session, name="test_session"),
    path("teams/<slug:team_slug>/preview/", preview.preview_session, name="preview_session"),
    path("teams/<slug:team_slug>/external-id/", preview.new_external_id_field, name="new_external_id"),
    path("teams/<slug:team_slug>/policy/", team_policy.team_policy, name="team_policy"),
    path("teams/<slug:team_slug>/policy/progress/", team_policy.policy_progress, name="policy_progress"),
    path("teams/<slug:team_slug>/policy/preview/", team_policy.preview_policy, name="preview_policy"),
    path("probes/<uuid:probe_id>/", editing.probe_page, name="probe"),
    path("sessions/<uuid:session_id>/", reading.session_page, name="session"),
    path("sessions/<uuid:session_id>/state/", reading.session_state, name="session_state"),
    path("sessions/<uuid:session_id>/names/", preview.session_names, name="session_names"),
    path("sessions/<uuid:session_id>/edit/", editing.edit_session, name="edit_session"),
    path("sessions/<uuid:session_id>/delete/", editing.delete_session_page, name="delete_session"),
    path("sessions/<uuid:session_id>/access/", sharing.session_access, name="session_access"),
    path("sessions/<uuid:session_id>/start/", acting.start_session_now, name="start_session"),
    path("sessions/<uuid:session_id>/stop/", acting.stop_session_now, name="stop_session"),
    path("sessions/<uuid:session_id>/rotate/", acting.rotate_session_now, name="rotate_session"),
    path("sessions/<uuid:session_id>/dismiss/", acting.dismiss_notice_now, name="dismiss_notice"),
    path("sessions/<uuid:session_id>/answer/", answering.give_code, name="give_code"),
    path("sessions/<uuid:session_id>/approval/", answering.approval_page, name="approval"),
    path("sessions/<uuid:session_id>/approval/forget/", answering.forget_approval, name="forget_approval"),
    path("sessions/<uuid:session_id>/choose/", answering.choose, name="choose"),
    path("sessions/<uuid:session_id>/key/", keys.key_rotation_page, name="key_rotation"),
    path("sessions/<uuid:session_id>/key/rotate/", keys.rotate_key_now, name="rotate_key"),
    path(
        "sessions/<uuid:session_id>/key/withdraw/", keys.withdraw_key_rotation, name="withdraw_key_rotation"
    ),
    path("sessions/<uuid:session_id>/snippets/<slug:format>/", acting.reveal_snippet, name="reveal_snippet"),
    path(
        "sessions/<uuid:session_id>/snippets/<slug:format>/download/",
        acting.download_snippet,
        name="download_snippet",
    ),
    path("teams/<slug:team_slug>/people/", people.people, name="people"),
    path("teams/<slug:team_slug>/people/invite/", people.invite_person, name="invite"),
    path(
        "teams/<slug:team_slug>/people/invitations/<uuid:invitation_id>/withdraw/",
        people.withdraw_invitation,
        name="withdraw_invitation",
    ),
    path("teams/<slug:team_slug>/people/groups/new/", sharing.edit_group, name="new_group"),
    path("teams/<slug:team_slug>/people/groups/<uuid:group_id>/", sharing.edit_group, name="group"),
    path(
        "teams/<slug:team_slug>/people/groups/<uuid:group_id>/delete/",
        sharing.remove_group,
        name="delete_group",
    ),
    path("teams/<slug:team_slug>/people/<int:person_id>/", people.person_page, name="person"),
    path("teams/<slug:team_slug>/people/<int:person_id>/role/", people.person_role, name="person_role"),
    path("teams/<slug:team_slug>/people/<int:person_id>/name/", people.person_name, name="person_name"),
    path(
        "teams/<slug:team_slug>/people/<int:person_id>/disable/", people.person_disable, name="person_disable"
    ),
    path("teams/<slug:team_slug>/people/<int:person_id>/enable/", people.person_enable, name="person_enable"),
    path("teams/<slug:team_slug>/people/<int:person_id>/remove/", people.person_remove, name="person_remove"),
    path(
        "teams/<slug:team_slug>/people/<int:person_id>/readmit/", people.person_readmit, name="person_readmit"
    ),
    path("teams/<slug:team_slug>/tokens/", tokens.tokens, name="tokens"),
    path("teams/<slug:team_slug>/tokens/<uuid:token_id>/revoke/", tokens.end_token, name="revoke_token"),
    path("join/", joining.join, name="join"),
    path("join/accept/", joining.accept, name="accept_invitation"),
    path("api/v1/", api.urls),
    path("components/", components.components, name="components"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
]
