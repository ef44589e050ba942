"""Look at a page in a real browser: errors, axe, and what sticks out."""

from axe_playwright_python.sync_playwright import Axe

ALL_RULES: dict[str, object] = {}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}


def check(page):
    """Check a page with axe, in light, dark and at phone width.

    And whether anything is wider than the phone.
    """
    for scheme, size in (("light", DESK), ("dark", DESK), ("light", PHONE)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        # In the dark only the colours are others.
        found = Axe().run(page, options=ALL_RULES if scheme == "light" else CONTRAST)
        assert found.response["passes"]
        assert found.violations_count == 0, (
            f"{scheme}, {size['width']} px:\n{found.generate_report()}"
        )
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def nothing_sticks_out(page):
    assert (
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        <= 0
    )
