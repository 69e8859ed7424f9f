"""Every view of the desk, on each width of screen."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.desk import Desk

PHONE, TABLET, LAPTOP = 390, 768, 1440
HEIGHTS = {PHONE: 844, TABLET: 1024, LAPTOP: 900}
# Up to this width a phone shows one view at a time, and the ticket is hidden until it is opened.
ONE_VIEW, HIDDEN_TICKET = 760, 1080
SECTIONS = (
    *("Overview", "Activities", "Portfolios and funds", "Profile", "Second factor"),
    *("Sessions and keys", "Webhooks", "Export and deletion"),
)


def views_of(desk: Desk, width: int) -> Iterator[str]:
    """Show each view of a signed-in user, one after the other, and yield its name."""
    page = desk.page
    page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
    yield from _ticket_and_chart(desk, width)
    for tab in ("Orders", "History", "Movers", "Trades"):
        _show(desk, tab, width)
        yield tab
    _show(desk, "Account", width)
    for section in SECTIONS:
        page.get_by_role("navigation", name="Account").get_by_text(section).click()
        page.wait_for_load_state("networkidle")
        yield section
    page.get_by_role("button", name="Notifications").click()
    for tab in ("Notifications", "Alerts", "Preferences"):
        page.get_by_role("tab", name=tab).click()
        yield tab
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    yield "Keyboard shortcuts"
    page.keyboard.press("Escape")


def _ticket_and_chart(desk: Desk, width: int) -> Iterator[str]:
    page = desk.page
    if width <= ONE_VIEW:
        for view in ("Watchlist", "Chart", "Order"):
            _press(desk, view)
            yield view
    elif width <= HIDDEN_TICKET:
        _show(desk, "Trades", width)
        page.locator("symbol-header").get_by_role("button", name="Buy").click()
        yield "Order"
        page.get_by_role("button", name="Close the ticket").click()


def _show(desk: Desk, tab: str, width: int) -> None:
    if width <= ONE_VIEW:
        _press(desk, "Account" if tab == "Account" else "Trades")
    desk.show(tab)


def _press(desk: Desk, view: str) -> None:
    views = desk.page.get_by_role("navigation", name="Views")
    views.get_by_role("button", name=view).click()
