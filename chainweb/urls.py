"""List every address of the installation."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("sessions.urls.accounts")),
    path("", include("sessions.urls")),
]

handler400 = "sessions.views.errors.bad_request"
handler403 = "sessions.views.errors.forbidden"
handler500 = "sessions.views.errors.server_error"
