"""The desk's chart, notifications and account in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import chromium
from tests.support.desk import TIMEOUT_MS, Desk, context_of
from tests.support.live import LiveTrader
from tests.support.recording_files import falling_and_rising, write_recording
from tests.support.server import ServerProcess

pytestmark = pytest.mark.needs("chromium")

# Recorded seconds per second: NIFTY loses two rupees per second, for half an hour.
SPEED = 0.1
PIXELS = 30


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(
    make_shared_server: Callable[..., ServerProcess], tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    path = tmp_path_factory.mktemp("recording") / "falling.csv"
    recording = write_recording(path, falling_and_rising())
    return make_shared_server(
        MARKET_DATA="replay", REPLAY_FILE=recording, REPLAY_SPEED=SPEED
    ).start()


@pytest.fixture
def trader(server: ServerProcess) -> LiveTrader:
    trader = LiveTrader(server)
    trader.open_portfolio(100_000)
    return trader


@pytest.fixture
def desk(browser: Browser, server: ServerProcess, trader: LiveTrader) -> Iterator[Desk]:
    """The page of the trader; in the end it may have no problem."""
    with context_of(browser) as context:
        desk = Desk(context.new_page(), server.url).open()
        desk.sign_in(trader.email, trader.password)
        yield desk
        assert desk.problems == []


def drag(handle: Locator, pixels: int) -> None:
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = handle.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x, y + pixels, steps=5)
    mouse.up()


def stop_of(trader: LiveTrader, trade_id: str) -> float:
    return float(trader.trade(trade_id)["stop_loss"])


def test_a_stop_is_dragged_undone_and_moved_by_keys(desk: Desk, trader: LiveTrader) -> None:
    trade = trader.create_trade(
        symbol="RELIANCE.NS", trade_type="BUY", quantity=2, stop_loss=1_000.0
    )
    desk.page.locator("watch-row").filter(has_text="RELIANCE").get_by_role("button").first.click(
        position={"x": 20, "y": 10}
    )
    stop = desk.page.get_by_role("slider", name="Stop of Buy 2")
    expect(stop).to_have_attribute("aria-valuenow", "1000", timeout=TIMEOUT_MS)
    candles = desk.page.get_by_role("img", name="Candles of RELIANCE")
    expect(candles).to_have_attribute("aria-busy", "false", timeout=TIMEOUT_MS)

    drag(stop, -PIXELS)
    undo = desk.page.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    assert stop_of(trader, trade["trade_id"]) > 1_000

    undo.click()
    expect(stop).to_have_attribute("aria-valuenow", "1000")
    assert stop_of(trader, trade["trade_id"]) == 1_000

    stop.focus()
    stop.press("ArrowUp")
    stop.press("PageUp")
    stop.press("Enter")
    expect(desk.page.get_by_role("button", name="Undo")).to_be_visible()
    moved = stop_of(trader, trade["trade_id"])
    assert 1_000 < moved < 1_002
    stop.press("ArrowUp")
    stop.press("Escape")
    expect(stop).to_have_attribute("aria-valuenow", re.compile(re.escape(f"{moved:g}")))


def test_the_chart_keeps_what_was_chosen_for_a_symbol(desk: Desk) -> None:
    desk.page.get_by_role("button", name="1m, 1 min").click()
    desk.page.get_by_role("button", name="Indicators").click()
    desk.page.get_by_label("RSI 14").check()
    desk.page.reload()
    desk.wait_for_price()

    interval = desk.page.get_by_role("button", name="1m, 1 min")
    expect(interval).to_have_attribute("aria-pressed", "true")
    desk.page.get_by_role("button", name="Indicators").click()
    expect(desk.page.get_by_label("RSI 14")).to_be_checked()


def test_a_trade_that_closes_by_itself_is_told_by_toast_and_bell(
    desk: Desk, trader: LiveTrader
) -> None:
    trader.create_trade(symbol="^NSEI", trade_type="BUY", quantity=2, stop_loss=trader.price() - 15)

    told = re.compile("Stop-loss hit: your BUY of 2 .NSEI was closed")
    expect(desk.page.locator("toast-list").get_by_text(told)).to_be_visible(timeout=TIMEOUT_MS)
    bell = desk.page.get_by_role("button", name="Notifications, 2 unread")
    bell.click()
    panel = desk.page.get_by_role("dialog", name="Notifications and alerts")
    expect(panel.get_by_text(told)).to_be_visible()

    panel.get_by_role("button", name="Mark all as read").click()
    expect(panel.get_by_text("All read")).to_be_visible()
    assert trader.get("/notifications").json()["unread_count"] == 0


# Calls of the desk's own functions, and what they return.
CALLS = {
    "chart-indicators.js": (
        "m.vwap([[0, 12, 9, 9, 10], [6e4, 24, 18, 18, 30], [9e7, 3, 3, 3, 1]].map("
        "([timestamp, high, low, close, volume]) => ({timestamp, high, low, close, volume})))",
        [10, 17.5, 3],
    ),
    "profit-calendar.js": (
        "m.weeksOf('2026-11').flat().slice(5, 7).concat(m.monthAfter('2026-12', 1))",
        [None, "2026-11-01", "2027-01"],
    ),
    "equity-curve.js": (
        "m.curves([[100, 0], [150, 50], [90, 0]].map(([equity, net_deposits]) => "
        "({time: 0, equity, net_deposits}))).drawdown.map(Math.round)",
        [0, 0, -10],
    ),
    "chart-trailing.js": (
        "[99, 95, 120].map((price) => m.followed({trade_type: 'SELL', trailing_offset: 10, "
        "trailing_pct: null, trailing_step: 2}, 110, price))",
        [110, 105, 110],
    ),
}


def test_the_modules_compute_what_chart_and_account_show(desk: Desk) -> None:
    for module, (call, result) in CALLS.items():
        found = desk.page.evaluate(f"import('/desk/{module}').then((m) => {call})")
        assert found == result, module


def test_an_alert_is_set_drawn_and_deleted(desk: Desk, trader: LiveTrader) -> None:
    desk.page.get_by_role("button", name="Notifications").click()
    desk.page.get_by_role("tab", name="Alerts").click()
    desk.page.get_by_label("When the price is").select_option("below")
    desk.page.get_by_label("Price in ₹").fill("15000")
    desk.page.get_by_role("button", name="Set alert").click()

    drawn = desk.page.get_by_role("slider", name="Alert below")
    expect(drawn).to_have_attribute("aria-valuenow", "15000")
    desk.page.get_by_role("button", name=re.compile("^Delete the alert: NIFTY 50")).click()
    expect(drawn).to_have_count(0)
    assert trader.get("/market/alerts").json()["alerts"] == []


def test_a_price_of_the_chart_is_ordered_by_its_menu(desk: Desk) -> None:
    candles = desk.page.get_by_role("img", name="Candles of NIFTY 50")
    expect(candles).to_have_attribute("aria-busy", "false", timeout=TIMEOUT_MS)
    candles.click(button="right", position={"x": 300, "y": 12})
    desk.page.get_by_role("menuitem", name=re.compile("^Sell at a limit of")).click()

    expect(desk.ticket.get_by_role("button", name=re.compile("^Sell .*at a limit"))).to_be_visible()
    expect(desk.ticket.get_by_label("Limit price")).to_have_value(re.compile("[1-9]"))
    expect(desk.page.get_by_role("menu")).to_have_count(0)


def test_the_account_shows_its_curve_funds_and_keys(desk: Desk, trader: LiveTrader) -> None:
    trade = trader.create_trade(symbol="RELIANCE.NS", trade_type="BUY", quantity=10)
    assert trader.post(f"/trades/exit/{trade['trade_id']}").status_code == 200
    desk.show("Account")
    curve = desk.page.get_by_role("img", name=re.compile("^Equity from ₹1,00,000.00 to"))
    expect(curve.locator("canvas")).to_have_count(2)
    expect(desk.page.get_by_role("meter", name="Margin in use")).to_be_visible()

    desk.page.get_by_role("button", name="Portfolios and funds").click()
    desk.page.get_by_label("Amount in ₹").fill("25000")
    desk.page.get_by_role("button", name="Deposit").click()
    expect(desk.page.get_by_text("Funds deposited")).to_be_visible()
    desk.page.get_by_role("button", name="Activities").click()
    expect(desk.page.locator("account-activities tbody tr").first).to_contain_text("+25,000.00")

    desk.page.get_by_role("button", name="Profile").click()
    expect(desk.page.get_by_label("Phone", exact=True)).to_be_visible()
    desk.page.get_by_role("button", name="Sessions and keys").click()
    desk.page.get_by_label("Name of another key").fill("Bot")
    desk.page.get_by_role("button", name="Create key").click()
    expect(desk.page.get_by_text(re.compile("^ptk_"))).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_chart_bell_and_account(
    browser: Browser, server: ServerProcess, trader: LiveTrader, scheme: str
) -> None:
    trader.create_trade(symbol="^NSEI", trade_type="SELL", quantity=1, target_price=100)
    assert trader.post("/market/alerts", symbol="^NSEI", below=200).status_code == 201
    with context_of(browser, color_scheme=scheme, reduced_motion="reduce") as context:
        desk = Desk(context.new_page(), server.url).open()
        desk.sign_in(trader.email, trader.password)
        page = desk.page
        expect(page.get_by_role("slider", name="Alert below")).to_be_visible()
        page.get_by_role("button", name="Indicators").click()
        assert desk.violations() == []
        page.get_by_role("button", name="Notifications").click()
        for tab in ("Notifications", "Alerts", "Preferences"):
            page.get_by_role("tab", name=tab).click()
            assert desk.violations() == [], tab
        page.keyboard.press("Escape")
        desk.show("Account")
        for section in ("Overview", "Activities", "Portfolios and funds", "Profile", "Sessions"):
            page.get_by_role("navigation", name="Account").get_by_text(section).click()
            page.wait_for_load_state("networkidle")
            assert desk.violations() == [], section
