"""Serve the product and one view more, which always answers the same: the least a request costs."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from chainweb.wsgi import application  # isort: skip  (it sets up what the next line needs)
from chainweb import urls

__all__ = ["application"]

PATH = "bench/constant"


def constant(request: HttpRequest) -> JsonResponse:
    """Answer with an object of the size of an answer's fixed part."""
    return JsonResponse({"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "Expiration": "2026-01-01T00:00Z"})


urls.urlpatterns += [path(PATH, constant)]  # type: ignore[list-item]  # so far there are includes
