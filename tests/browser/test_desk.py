"""The trading desk in a real browser, on a recorded market that falls by a rupee per tick."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Position, WebSocket, expect

from tests.browser.landmarks import differences, looks_of
from tests.support.desk import TIMEOUT_MS, Desk, context_of
from tests.support.live import LiveTrader
from tests.support.server import ServerProcess

pytestmark = pytest.mark.needs("chromium")

# Of a row of the watchlist, beside the buttons that appear above it.
NAME: Position = {"x": 20, "y": 10}
# The sum of what moved without a request of the user, as a browser counts it: 0.1 is felt.
MAX_SHIFT = 0.02
SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.shift += each.value;
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with context_of(browser) as context:
        yield context


@pytest.fixture
def desk(context: BrowserContext, server: ServerProcess) -> Iterator[Desk]:
    """The page before anyone has signed in; in the end it may have no problem."""
    desk = Desk(context.new_page(), server.url).open()
    yield desk
    assert desk.problems == []


def test_a_newcomer_buys_protects_and_reads_why_the_trade_closed(desk: Desk) -> None:
    desk.start_demo()
    guide = desk.page.get_by_role("region", name="Your first trade")
    guide.get_by_role("button", name="Fill the ticket for me").click()
    expect(guide).to_contain_text("limits the loss")
    button = desk.ticket.get_by_role("button", name="Buy 1 NIFTY 50 at market")
    expect(button).to_be_enabled(timeout=TIMEOUT_MS)
    button.click()
    expect(guide).to_contain_text("even if you leave")

    # The market falls, so the stop-loss is reached within seconds.
    reason = re.compile(r"Stop-loss [\d,.]+ was reached by the tick [\d,.]+ of .* IST")
    expect(guide).to_contain_text(reason, timeout=TIMEOUT_MS)
    expect(desk.trades).to_have_count(0)
    guide.get_by_role("button", name="Done").click()

    desk.show("History")
    desk.page.get_by_role("button", name="BUY 1 NIFTY 50: why it ended").click()
    expect(desk.page.locator("trade-history")).to_contain_text(reason)
    desk.page.reload()
    desk.wait_for_price()
    expect(guide).to_have_count(0)


def test_the_ticket_says_in_words_why_its_button_is_off(desk: Desk) -> None:
    desk.start_demo()
    button = desk.ticket.get_by_role("button", name=re.compile("at market$"))

    desk.ticket.get_by_label("Quantity", exact=True).fill("")
    expect(button).to_be_disabled()
    expect(desk.ticket).to_contain_text("Enter a quantity.")

    desk.ticket.get_by_label("Quantity", exact=True).fill("1")
    desk.ticket.get_by_label("Stop-loss", exact=True).fill("90,000")
    expect(desk.ticket.get_by_role("status")).to_contain_text("Stop loss 90000.00 must be below")
    expect(button).to_be_disabled()

    desk.ticket.get_by_label("Stop-loss", exact=True).fill("20000")
    expect(button).to_be_enabled(timeout=TIMEOUT_MS)

    desk.ticket.get_by_role("button", name="₹ at risk").click()
    desk.ticket.get_by_label("Lose at most").fill("10,000")
    desk.ticket.get_by_role("button", name=re.compile(r"^Buy [123] NIFTY")).wait_for()


def test_an_order_that_waits_is_changed_in_place_and_cancelled(desk: Desk) -> None:
    desk.start_demo()
    desk.ticket.get_by_role("button", name="Limit", exact=True).click()
    desk.ticket.get_by_label("Limit price").fill("10,000")
    desk.ticket.get_by_role("button", name="Buy 1 NIFTY 50 at a limit").click()
    orders = desk.page.locator("order-list tbody tr")
    expect(orders).to_have_count(1)

    orders.get_by_role("button", name=re.compile("^Limit of")).click()
    field = orders.get_by_role("textbox", name=re.compile("^Limit of"))
    field.fill("10,000.01")
    field.press("Enter")
    expect(orders.get_by_role("alert").first).to_contain_text("10000.01")
    field.fill("10,001")
    field.press("Enter")
    expect(orders.get_by_role("button", name=re.compile(r"^Limit of.* 10,001\.00"))).to_be_visible()

    orders.get_by_role("button", name="Cancel").click()
    expect(orders).to_have_count(0)


def test_another_symbol_has_a_quantity_and_no_prices_of_the_last_one(desk: Desk) -> None:
    desk.start_demo()
    ticket, rows = desk.ticket, desk.page.locator("watch-row")
    reliance = rows.filter(has_text="RELIANCE").get_by_role("button").first
    sensex = rows.filter(has_text="SENSEX").get_by_role("button").first
    quantity = ticket.get_by_label("Quantity", exact=True)
    stop = ticket.get_by_label("Stop-loss", exact=True)
    expect(quantity).to_have_value("1")
    quantity.fill("7")
    stop.fill("20,000")

    # A quantity belongs to its symbol: the next one begins with a lot of its own.
    reliance.click(position=NAME)
    expect(quantity).to_have_value("1")
    expect(stop).to_have_value("")
    expect(ticket.get_by_role("button", name="Buy 1 RELIANCE at market")).to_be_enabled()

    # Rupees belong to the user: they stay, and buy as many units of the next symbol as they can.
    ticket.get_by_role("button", name="₹ value").click()
    rupees = ticket.get_by_label("Rupees to use")
    rupees.fill("1,00,000")
    expect(ticket.get_by_role("button", name=re.compile(r"^Buy \d\d RELIANCE"))).to_be_enabled()
    sensex.click(position=NAME)
    expect(rupees).to_have_value("1,00,000")
    expect(ticket.get_by_role("button", name="Buy 1 SENSEX at market")).to_be_enabled()

    # Back to units, a quantity is asked for.
    ticket.get_by_role("button", name="Units").click()
    expect(ticket).to_contain_text("Enter a quantity.")
    reliance.click(position=NAME)
    expect(quantity).to_have_value("1")


def test_a_pair_is_written_shown_as_a_pair_and_cancelled(desk: Desk) -> None:
    desk.start_demo()
    ticket = desk.ticket
    ticket.get_by_role("button", name="Limit", exact=True).click()
    ticket.get_by_label("Limit price").fill("10,000")
    ticket.get_by_role("button", name="Pair it with another order").click()
    place = ticket.get_by_role("button", name="Place both orders of NIFTY 50")
    expect(place).to_be_disabled()
    expect(ticket).to_contain_text("Enter the stop price.")
    expect(ticket.get_by_role("button", name="Market", exact=True)).to_have_count(0)

    # The API names the order and the field, and the ticket shows that order.
    ticket.get_by_label("Stop price").fill("90,000.01")
    ticket.get_by_role("button", name="1: Buy at a limit").click()
    expect(ticket.get_by_role("status")).to_contain_text("Order 2: ")
    ticket.get_by_role("button", name="2: Buy at a stop").click()
    expect(ticket.get_by_label("Stop price")).to_have_attribute("aria-invalid", "true")

    ticket.get_by_label("Stop price").fill("90,000")
    expect(ticket).to_contain_text(re.compile(r"both block margin, ₹[\d,.]+ together"))
    place.click()
    pair = desk.page.locator("order-list tbody.pair")
    expect(pair.get_by_role("row")).to_have_count(3)
    expect(pair).to_contain_text("Pair of NIFTY 50: the first to fill cancels the other")
    expect(pair).to_contain_text("10,000.00")
    assert desk.violations() == []

    # One of a pair can be cancelled; the other waits on, and is a pair no more.
    pair.get_by_role("button", name="Cancel the order of NIFTY 50").first.click()
    expect(pair).to_have_count(0)
    expect(desk.page.locator("order-list tbody tr")).to_have_count(1)


def test_two_tabs_of_a_user_stay_in_step(desk: Desk, context: BrowserContext) -> None:
    desk.start_demo()
    other = Desk(context.new_page(), desk.url).open()
    other.wait_for_price()

    desk.buy()
    expect(other.trades).to_have_count(1)
    other.trades.get_by_role("button", name="Exit NIFTY 50").click()
    expect(desk.trades).to_have_count(0)

    other.page.get_by_role("button", name=re.compile("^Sign out")).click()
    expect(desk.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert other.problems == []


def test_nothing_of_another_user_is_shown(
    desk: Desk, browser: Browser, server: ServerProcess
) -> None:
    alice = LiveTrader(server)
    alice.open_portfolio()
    alice.create_trade(symbol="RELIANCE.NS", trade_type="BUY", quantity=77)
    received: list[str | bytes] = []

    def keep(frame: str | bytes) -> None:
        received.append(frame)

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", keep)

    desk.page.on("websocket", listen)
    desk.start_demo()
    desk.buy(2)

    alice.create_trade(symbol="RELIANCE.NS", trade_type="BUY", quantity=78)
    desk.buy(3)
    for tab in ("History", "Orders", "Trades"):
        desk.show(tab)
    text = desk.page.locator("body").inner_text()

    assert not [frame for frame in received if alice.client_id in str(frame)]
    assert alice.client_id not in text
    quantities = desk.page.locator("open-trades td[data-label=Quantity]")
    expect(quantities).to_have_text(["3", "2"])

    # The next user of the same browser sees nothing of this one.
    desk.page.get_by_role("button", name=re.compile("^Sign out")).click()
    desk.sign_in(alice.email, alice.password)
    expect(quantities).to_have_text(["78", "77"])


def test_it_returns_by_itself_after_the_server_was_killed(
    context: BrowserContext, server: ServerProcess
) -> None:
    # Requests without a server fail, and the browser reports each.
    desk = Desk(context.new_page(), server.url).open().start_demo()
    desk.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    desk.buy()

    server.kill()
    banner = desk.page.get_by_text("Connection lost")
    expect(banner).to_be_visible(timeout=TIMEOUT_MS)
    expect(desk.page.locator("watch-row .last.stale").first).to_be_visible()

    # Another tab cannot load the desk, and says so.
    page = context.new_page()
    page.goto(server.url)
    expect(page.get_by_role("heading")).to_have_text("The trading desk cannot be reached")

    server.start()
    expect(banner).to_be_hidden(timeout=TIMEOUT_MS)
    expect(desk.trades).to_have_count(1)
    desk.trades.get_by_role("button", name="Exit NIFTY 50").click()
    expect(desk.trades).to_have_count(0)


def test_a_search_with_a_typo_shows_name_and_sector_and_adds_the_share(desk: Desk) -> None:
    desk.start_demo()
    search = desk.page.get_by_role("combobox", name="Search symbols to add")
    search.fill("mehindra and mahindra")
    found = desk.page.get_by_role("listbox").get_by_role("option")
    expect(found.first).to_contain_text("Mahindra & Mahindra")
    expect(found.first).to_contain_text("Automobile and Auto Components")
    search.press("Enter")
    row = desk.page.locator("watch-row").filter(has_text="M&M")
    expect(row).to_have_count(1)
    desk.show("Movers")
    expect(desk.page.locator("movers-list")).to_contain_text("Most active", timeout=TIMEOUT_MS)


def test_the_panels_are_where_and_as_they_were(desk: Desk) -> None:
    desk.start_demo()

    assert differences(looks_of(desk.page)) == []


def test_nothing_moves_while_the_page_is_loaded_again(desk: Desk) -> None:
    desk.start_demo()
    guide = desk.page.get_by_role("region", name="Your first trade")
    expect(guide).to_be_visible()
    desk.page.add_init_script(SHIFTS)
    desk.page.reload()
    desk.wait_for_price()
    candles = desk.page.get_by_role("img", name="Candles of NIFTY 50")
    expect(candles).to_have_attribute("aria-busy", "false", timeout=TIMEOUT_MS)

    expect(guide).to_be_visible()
    assert desk.page.evaluate("shift") < MAX_SHIFT


def test_everything_fits_a_phone_and_can_be_reached_there(
    browser: Browser, server: ServerProcess
) -> None:
    with context_of(
        browser, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    ) as context:
        desk = Desk(context.new_page(), server.url).open().start_demo()
        views = desk.page.get_by_role("navigation", name="Views")
        for view, panel in {
            "Chart": "symbol-header",
            "Order": "order-ticket",
            "Trades": "open-trades",
            "Watchlist": "watch-list",
        }.items():
            views.get_by_role("button", name=view).click()
            expect(desk.page.locator(panel)).to_be_visible()
            width = desk.page.evaluate("document.documentElement.scrollWidth")
            assert width == 360, f"{view} is {width} px wide"
        guide = desk.page.get_by_role("region", name="Your first trade").bounding_box()
        desk.call("store.js", "m.store.emit('toast', {kind: 'info', text: 'A toast'})")
        toast = desk.page.locator("toast-list .toast").bounding_box()
        assert guide is not None
        assert toast is not None
        assert guide["y"] + guide["height"] <= toast["y"]
        assert desk.problems == []
