"""Map addresses to pages and to the API."""

from django.urls import path

from sessions.api import api
from sessions.api.container import container
from sessions.views import team_policy
from sessions.views.ledger import drift, events, export, names, searches, whois
from sessions.views.operations import components, health, metrics, simulated_console
from sessions.views.people import access, connect, join, people, robots, tokens
from sessions.views.roots import key_rotation, prompts
from sessions.views.sessions import (
    actions,
    choosing,
    console,
    forms,
    imports,
    pages,
    preview,
    several,
)

urlpatterns = [
    path("", pages.home, name="home"),
    path("teams/<slug:team_slug>/", pages.session_list, name="session_list"),
    path("teams/<slug:team_slug>/new/", forms.new_session, name="new_session"),
    path(
        "teams/<slug:team_slug>/new/<slug:provider>/",
        forms.new_session_method,
        name="new_session_method",
    ),
    path(
        "teams/<slug:team_slug>/new/<slug:provider>/<slug:kind>/",
        forms.new_session_form,
        name="new_session_form",
    ),
    path(
        "teams/<slug:team_slug>/choices/<slug:purpose>/",
        choosing.session_choices,
        name="session_choices",
    ),
    path("teams/<slug:team_slug>/test/<slug:kind>/", forms.test_session, name="test_session"),
    path("teams/<slug:team_slug>/preview/", preview.preview_session, name="preview_session"),
    path(
        "teams/<slug:team_slug>/external-id/", preview.new_external_id_field, name="new_external_id"
    ),
    path("teams/<slug:team_slug>/policy/", team_policy.team_policy, name="team_policy"),
    path(
        "teams/<slug:team_slug>/policy/progress/",
        team_policy.policy_progress,
        name="policy_progress",
    ),
    path(
        "teams/<slug:team_slug>/policy/preview/", team_policy.preview_policy, name="preview_policy"
    ),
    path("teams/<slug:team_slug>/import/", imports.import_files, name="import"),
    path(
        "teams/<slug:team_slug>/import/<uuid:import_id>/",
        imports.import_preview,
        name="import_preview",
    ),
    path(
        "teams/<slug:team_slug>/export/<slug:format>/",
        imports.export_sessions,
        name="export_sessions",
    ),
    path("teams/<slug:team_slug>/policy/labels/", team_policy.team_labels, name="team_labels"),
    path(
        "teams/<slug:team_slug>/policy/labels/<int:label_id>/",
        team_policy.edit_label,
        name="edit_label",
    ),
    path(
        "teams/<slug:team_slug>/policy/labels/<int:label_id>/delete/",
        team_policy.remove_label,
        name="delete_label",
    ),
    path("teams/<slug:team_slug>/switch-roles/", console.switch_roles, name="switch_roles"),
    path("probes/<uuid:probe_id>/", forms.probe_page, name="probe"),
    path("sessions/<uuid:session_id>/", pages.session_page, name="session"),
    path("sessions/<uuid:session_id>/state/", pages.session_state, name="session_state"),
    path("sessions/<uuid:session_id>/names/", preview.session_names, name="session_names"),
    path("sessions/<uuid:session_id>/edit/", forms.edit_session, name="edit_session"),
    path("sessions/<uuid:session_id>/delete/", forms.delete_session_page, name="delete_session"),
    path("sessions/<uuid:session_id>/access/", access.session_access, name="session_access"),
    path("sessions/<uuid:session_id>/start/", actions.start_session_now, name="start_session"),
    path("sessions/<uuid:session_id>/stop/", actions.stop_session_now, name="stop_session"),
    path("sessions/<uuid:session_id>/rotate/", actions.rotate_session_now, name="rotate_session"),
    path("sessions/<uuid:session_id>/dismiss/", actions.dismiss_notice_now, name="dismiss_notice"),
    path("sessions/<uuid:session_id>/answer/", prompts.give_code, name="give_code"),
    path("sessions/<uuid:session_id>/approval/", prompts.approval_page, name="approval"),
    path(
        "sessions/<uuid:session_id>/approval/forget/",
        prompts.forget_approval,
        name="forget_approval",
    ),
    path("sessions/<uuid:session_id>/choose/", prompts.choose, name="choose"),
    path("sessions/<uuid:session_id>/key/", key_rotation.key_rotation_page, name="key_rotation"),
    path("sessions/<uuid:session_id>/key/rotate/", key_rotation.rotate_key_now, name="rotate_key"),
    path(
        "sessions/<uuid:session_id>/key/withdraw/",
        key_rotation.withdraw_key_rotation,
        name="withdraw_key_rotation",
    ),
    path(
        "sessions/<uuid:session_id>/snippets/<slug:format>/",
        actions.reveal_snippet,
        name="reveal_snippet",
    ),
    path(
        "sessions/<uuid:session_id>/snippets/<slug:format>/download/",
        actions.download_snippet,
        name="download_snippet",
    ),
    path("sessions/<uuid:session_id>/console/", console.console, name="console"),
    path("console/<uuid:sign_in_id>/", console.console_sign_in, name="console_sign_in"),
    path("console/<uuid:sign_in_id>/go/", console.console_launch, name="console_launch"),
    path("go/<path:alias>", console.go, name="go"),
    path(
        "simulated/federation",
        simulated_console.simulated_federation,
        name="simulated_federation",
    ),
    path("teams/<slug:team_slug>/audit/", events.events, name="events"),
    path("teams/<slug:team_slug>/audit/events/<int:seq>/", events.event, name="event"),
    path("teams/<slug:team_slug>/audit/export/", export.export_events, name="export_events"),
    path("teams/<slug:team_slug>/snippets/", several.reveal_several, name="reveal_several"),
    path(
        "teams/<slug:team_slug>/snippets/download/",
        several.download_several,
        name="download_several",
    ),
    path("teams/<slug:team_slug>/people/", people.people, name="people"),
    path("teams/<slug:team_slug>/people/invite/", people.invite_person, name="invite"),
    path(
        "teams/<slug:team_slug>/people/invitations/<uuid:invitation_id>/withdraw/",
        people.withdraw_invitation,
        name="withdraw_invitation",
    ),
    path("teams/<slug:team_slug>/people/groups/new/", access.edit_group, name="new_group"),
    path("teams/<slug:team_slug>/people/groups/<uuid:group_id>/", access.edit_group, name="group"),
    path(
        "teams/<slug:team_slug>/people/groups/<uuid:group_id>/delete/",
        access.remove_group,
        name="delete_group",
    ),
    path("teams/<slug:team_slug>/people/<int:person_id>/", people.person_page, name="person"),
    path(
        "teams/<slug:team_slug>/people/<int:person_id>/role/",
        people.person_role,
        name="person_role",
    ),
    path(
        "teams/<slug:team_slug>/people/<int:person_id>/name/",
        people.person_name,
        name="person_name",
    ),
    path(
        "teams/<slug:team_slug>/people/<int:person_id>/disable/",
        people.person_disable,
        name="person_disable",
    ),
    path(
        "teams/<slug:team_slug>/people/<int:person_id>/enable/",
        people.person_enable,
        name="person_enable",
    ),
    path(
        "teams/<slug:team_slug>/people/<int:person_id>/remove/",
        people.person_remove,
        name="person_remove",
    ),
    path(
        "teams/<slug:team_slug>/people/<int:person_id>/readmit/",
        people.person_readmit,
        name="person_readmit",
    ),
    path("teams/<slug:team_slug>/tokens/", tokens.tokens, name="tokens"),
    path(
        "teams/<slug:team_slug>/tokens/<uuid:token_id>/revoke/",
        tokens.end_token,
        name="revoke_token",
    ),
    path("teams/<slug:team_slug>/connect/", connect.connect, name="connect"),
    path("teams/<slug:team_slug>/robots/", robots.robots, name="robots"),
    path("teams/<slug:team_slug>/robots/new/", robots.new_robot, name="new_robot"),
    path("teams/<slug:team_slug>/robots/<uuid:robot_id>/", robots.robot, name="robot"),
    path(
        "teams/<slug:team_slug>/robots/<uuid:robot_id>/tokens/",
        robots.new_robot_token,
        name="new_robot_token",
    ),
    path(
        "teams/<slug:team_slug>/robots/<uuid:robot_id>/trust/",
        robots.new_trust,
        name="new_trust",
    ),
    path(
        "teams/<slug:team_slug>/robots/trust/<uuid:rule_id>/end/",
        robots.end_trust,
        name="end_trust",
    ),
    path(
        "teams/<slug:team_slug>/robots/<uuid:robot_id>/remove/",
        robots.end_robot,
        name="remove_robot",
    ),
    path("teams/<slug:team_slug>/audit/names/", names.names_page, name="names"),
    path("teams/<slug:team_slug>/audit/drift/", drift.drift, name="drift"),
    path("teams/<slug:team_slug>/audit/drift/imports/", drift.drift_imports, name="drift_imports"),
    path("teams/<slug:team_slug>/audit/drift/lookup/", drift.look_up_trail, name="look_up_trail"),
    path("teams/<slug:team_slug>/audit/drift/upload/", drift.upload_trail, name="upload_trail"),
    path(
        "teams/<slug:team_slug>/audit/drift/imports/<uuid:import_id>/delete/",
        drift.delete_trail,
        name="delete_trail",
    ),
    path(
        "teams/<slug:team_slug>/audit/drift/records/<int:record_id>/",
        drift.trail_record,
        name="trail_record",
    ),
    path("teams/<slug:team_slug>/audit/searches/", searches.add_search, name="add_search"),
    path(
        "teams/<slug:team_slug>/audit/searches/<uuid:search_id>/",
        searches.name_search,
        name="name_search",
    ),
    path(
        "teams/<slug:team_slug>/audit/searches/<uuid:search_id>/delete/",
        searches.remove_search,
        name="remove_search",
    ),
    path("sessions/<uuid:session_id>/calls/", drift.session_calls, name="session_calls"),
    path("teams/<slug:team_slug>/audit/whois/", whois.whois_page, name="whois"),
    path("join/", join.join, name="join"),
    path("join/accept/", join.accept, name="accept_invitation"),
    path("api/v1/", api.urls),
    path("container/<uuid:session_id>", container, name="container"),
    path("components/", components.components, name="components"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
]
