"""The desk's chart, notifications and account in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, ViewportSize, expect
from pyotp import TOTP

from tests.browser.views import LAPTOP, PHONE, TABLET, views_of
from tests.support.desk import TIMEOUT_MS, Desk, context_of
from tests.support.live import LiveTrader, eventually
from tests.support.server import ServerProcess

pytestmark = pytest.mark.needs("chromium")

PIXELS = 30
SMALL_PHONE: ViewportSize = {"width": 360, "height": 740}


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


def test_a_line_is_dragged_by_a_finger(
    browser: Browser, server: ServerProcess, trader: LiveTrader
) -> None:
    trade = trader.create_trade(symbol="RELIANCE.NS", trade_type="BUY", quantity=1, stop_loss=1_000)
    with context_of(browser, viewport=SMALL_PHONE, has_touch=True, is_mobile=True) as context:
        desk = Desk(context.new_page(), server.url).open()
        desk.sign_in(trader.email, trader.password)
        row = desk.page.locator("watch-row").filter(has_text="RELIANCE")
        row.get_by_role("button").first.tap(position={"x": 20, "y": 10})
        desk.page.get_by_role("button", name="Chart", exact=True).tap()
        candles = desk.page.get_by_role("img", name="Candles of RELIANCE")
        expect(candles).to_have_attribute("aria-busy", "false", timeout=TIMEOUT_MS)
        box = desk.page.get_by_role("slider", name="Stop of Buy 1").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session = context.new_cdp_session(desk.page)
        touches = [("touchStart", y), *(("touchMove", y - step) for step in (5, 20, 40))]
        for kind, at in touches:
            points = [{"x": x, "y": at}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        expect(desk.page.get_by_role("button", name="Undo")).to_be_visible()
        assert stop_of(trader, trade["trade_id"]) > 1_000
        assert desk.problems == []


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

    told = re.compile("Stop-loss hit: your BUY of 2 NIFTY 50 was closed")
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
    "format.js": (
        "[m.withShortName('BUY of 2 ^NSEI', '^NSEI'), m.withShortName('a.b', undefined)]",
        ["BUY of 2 NIFTY 50", "a.b"],
    ),
    "chart-trailing.js": (
        "[99, 95, 120].map((price) => m.followed({trade_type: 'SELL', trailing_offset: 10, "
        "trailing_pct: null, trailing_step: 2}, 110, price))",
        [110, 105, 110],
    ),
}


def test_the_modules_compute_what_chart_and_account_show(desk: Desk) -> None:
    for module, (call, result) in CALLS.items():
        assert desk.call(module, call) == result, module


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
    # The last point moves with the prices.
    trader.create_trade(symbol="^NSEI", trade_type="BUY", quantity=1)
    before = curve.get_attribute("aria-label")
    expect(curve).not_to_have_attribute("aria-label", before or "", timeout=TIMEOUT_MS)

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


def test_a_second_factor_is_set_up_used_and_turned_off(desk: Desk, trader: LiveTrader) -> None:
    desk.show("Account")
    page = desk.page
    factor = page.locator("account-factor")
    page.get_by_role("button", name="Second factor").click()
    password = factor.get_by_label("Your password")
    password.fill("not-the-password")
    factor.get_by_role("button", name="Set up an app").click()
    expect(password).to_have_attribute("aria-invalid", "true")
    password.fill(trader.password)
    factor.get_by_role("button", name="Set up an app").click()

    drawing = factor.get_by_role("img", name="QR code")
    expect(drawing).to_be_visible()
    assert drawing.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100
    assert desk.violations() == []
    code = factor.get_by_label("The code that the app shows")
    code.fill("000000")
    factor.get_by_role("button", name="Turn on").click()
    expect(code).to_have_attribute("aria-invalid", "true")
    code.fill(TOTP(factor.locator("code").inner_text()).now())
    factor.get_by_role("button", name="Turn on").click()
    expect(factor.get_by_role("heading")).to_have_text("Second factor: on")
    recovery = factor.locator("shown-once code").inner_text().split()
    assert len(recovery) == 10

    password.fill(trader.password)
    factor.get_by_label("Code of the app, or a recovery code").fill(recovery[0])
    factor.get_by_role("button", name="New recovery codes").click()
    expect(factor.locator("shown-once")).not_to_contain_text(recovery[1])
    renewed = factor.locator("shown-once code").inner_text().split()
    password.fill(trader.password)
    factor.get_by_label("Code of the app, or a recovery code").fill(renewed[0])
    factor.get_by_role("button", name="Turn off").click()
    expect(factor.get_by_role("heading")).to_have_text("Second factor: off")


def test_a_webhook_is_created_tested_paused_and_deleted(desk: Desk, trader: LiveTrader) -> None:
    desk.show("Account")
    page = desk.page
    page.get_by_role("button", name="Webhooks").click()
    address = page.get_by_label("Address of another")
    address.fill("http://10.0.0.1/")
    page.get_by_role("button", name="Create webhook").click()
    expect(address).to_have_attribute("aria-invalid", "true")
    address.fill("https://desk.invalid/events")
    page.get_by_text("Only some events").click()
    page.get_by_label("Trade exited", exact=True).check()
    page.get_by_role("button", name="Create webhook").click()
    expect(page.locator("shown-once")).to_contain_text("whsec_")
    hooks = page.locator("account-webhooks tbody tr")
    expect(hooks).to_contain_text(["1 kinds"])

    page.get_by_role("button", name="Test https://desk.invalid/events").click()
    deliveries = page.locator("account-deliveries tbody tr")
    expect(deliveries).to_contain_text(["failed"])
    trade = trader.create_trade(symbol="RELIANCE.NS", trade_type="BUY", quantity=1)
    assert trader.post(f"/trades/exit/{trade['trade_id']}").status_code == 200
    (hook,) = trader.get("/notifications/webhooks").json()["webhooks"]
    path = f"/notifications/webhooks/{hook['webhook_id']}/deliveries"
    eventually(lambda: len(trader.get(path).json()["deliveries"]) == 2)
    page.get_by_role("button", name="Test https://desk.invalid/events").click()
    expect(deliveries).to_have_count(3)
    page.get_by_role("button", name=re.compile("^Send again: event")).click()
    expect(deliveries).to_have_count(4)
    assert desk.violations() == []

    page.get_by_role("button", name="Pause https://desk.invalid/events").click()
    expect(hooks).to_contain_text(["paused"])
    page.get_by_role("button", name="Delete https://desk.invalid/events").click()
    expect(hooks).to_have_count(0)


def test_a_user_takes_everything_along_and_deletes_the_account(
    desk: Desk, trader: LiveTrader
) -> None:
    desk.show("Account")
    page = desk.page
    page.get_by_role("button", name="Export and deletion").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download everything").click()
    export = json.loads(Path(download.value.path()).read_text())
    assert export["account"]["client_id"] == trader.client_id

    page.get_by_role("button", name="Delete the account …").click()
    question = page.get_by_role("dialog", name=f"Delete {trader.client_id}?")
    assert desk.violations() == []
    question.get_by_label("Your password").fill("not-the-password")
    question.get_by_role("button", name="Delete everything").click()
    expect(question.get_by_label("Your password")).to_have_attribute("aria-invalid", "true")
    question.get_by_label("Your password").fill(trader.password)
    question.get_by_role("button", name="Delete everything").click()

    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    expect(page.locator("toast-list .toast")).to_be_visible()
    assert trader.client_id not in str(page.evaluate("Object.entries(localStorage)"))
    assert trader.sign_in().status_code == 401


def test_the_fill_profile_of_a_portfolio_is_explained_and_changed(
    desk: Desk, trader: LiveTrader
) -> None:
    desk.show("Account")
    page = desk.page
    page.get_by_role("button", name="Portfolios and funds").click()
    fills = page.get_by_role("region", name="Fills of default")
    save = fills.get_by_role("button", name="Save")
    expect(fills.get_by_role("radio", name=re.compile("^Plain"))).to_be_checked()
    expect(save).to_be_disabled()
    expect(fills).to_contain_text("the broker rejects 2 of 100 orders")

    fills.get_by_role("radio", name=re.compile("^Realistic")).check()
    save.click()
    expect(page.locator("toast-list")).to_contain_text("filled by the profile “Realistic”")
    expect(page.locator("account-funds tbody tr")).to_contain_text("Realistic")
    expect(save).to_be_disabled()
    assert trader.portfolio()["fill_profile"] == "realistic"

    # The ticket says how its order would be filled.
    desk.show("Trades")
    expect(desk.ticket.locator("ticket-summary")).to_contain_text("Realistic", timeout=TIMEOUT_MS)


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", LAPTOP), ("dark", TABLET), ("light", PHONE)]
)
def test_axe_finds_no_violation_in_any_view(
    browser: Browser, server: ServerProcess, trader: LiveTrader, scheme: str, width: int
) -> None:
    trader.create_trade(symbol="^NSEI", trade_type="SELL", quantity=1, target_price=100)
    trader.create_trade(
        symbol="RELIANCE.NS", trade_type="BUY", quantity=1, order_type="LIMIT", limit_price=100
    )
    ended = trader.create_trade(symbol="^NSEI", trade_type="BUY", quantity=1)
    assert trader.post(f"/trades/exit/{ended['trade_id']}").status_code == 200
    assert trader.post("/market/alerts", symbol="^NSEI", below=200).status_code == 201
    assert trader.post("/auth/api-keys", name="Bot", scopes=["read"]).status_code == 201
    with context_of(browser, color_scheme=scheme, reduced_motion="reduce") as context:
        desk = Desk(context.new_page(), server.url).open()
        violations = {"Sign in": desk.violations()}
        desk.sign_in(trader.email, trader.password)
        expect(desk.page.get_by_role("slider", name="Alert below")).to_be_visible()
        desk.page.get_by_role("button", name="Indicators").click()
        violations["Indicators"] = desk.violations()
        desk.page.keyboard.press("Escape")
        for view in views_of(desk, width):
            violations[view] = desk.violations()

    assert {view: found for view, found in violations.items() if found} == {}
