"""A fake of Angel One's scrip master on localhost: a generated list, complete or damaged."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.market_data.instruments.registry import shipped_instruments

PATH = "/OpenAPI_File/files/OpenAPIScripMaster.json"
Row = dict[str, Any]


def row(token: str, symbol: str, name: str, exchange: str, kind: str = "", **changes: Any) -> Row:
    """Return a row like those of the real list: all fields are text, prices are paise."""
    return {
        "token": token,
        "symbol": symbol,
        "name": name,
        "expiry": "",
        "strike": "-1.000000",
        "lotsize": "1",
        "instrumenttype": kind,
        "exch_seg": exchange,
        "tick_size": "5.000000",
        **changes,
    }


def nse(ticker: str, token: int | str, series: str = "EQ", **changes: Any) -> Row:
    return row(str(token), f"{ticker}-{series}", ticker, "NSE", **changes)


def bse(ticker: str, token: int | str, **changes: Any) -> Row:
    return row(str(token), ticker, ticker, "BSE", **changes)


def indices() -> list[Row]:
    """Return the rows of the indices; NIFTY has an older row as well."""
    no_tick = {"tick_size": "0.000000"}
    return [
        row("26000", "NIFTY", "NIFTY", "NSE", **no_tick),
        row("99926000", "Nifty 50", "NIFTY", "NSE", "AMXIDX", **no_tick),
        row("99926009", "Nifty Bank", "BANKNIFTY", "NSE", "AMXIDX", **no_tick),
        row("99926004", "Nifty 500", "NIFTY 500", "NSE", "AMXIDX", **no_tick),
        row("99919000", "SENSEX", "SENSEX", "BSE", "AMXIDX", **no_tick),
    ]


def shipped() -> list[Row]:
    """Return the shares that ship with the application, with tokens of this list."""
    shares = [instrument for instrument in shipped_instruments() if not instrument.is_index]
    return [
        nse(instrument.ticker, 9_000_000 + number)
        if instrument.exchange == "NSE"
        else bse(instrument.ticker, 590_000 + number)
        for number, instrument in enumerate(shares)
    ]


def shares(count: int) -> Iterator[Row]:
    """Yield shares: four of five are on both exchanges, the fifth is on BSE only."""
    for number in range(count):
        ticker = f"SHARE{number // 2}" if number % 10 < 8 else f"LOCAL{number}"
        if number % 10 < 8 and number % 2 == 0:
            yield nse(ticker, 100_000 + number)
        else:
            yield bse(ticker, 500_000 + number)


def others(count: int) -> Iterator[Row]:
    """Yield derivatives, commodities, currencies and bonds."""
    option = {"expiry": "29DEC2026", "strike": "140000.000000", "lotsize": "500"}
    for number in range(count):
        match number % 5:
            case 0 | 1:
                symbol = f"SHARE{number}29DEC261400CE"
                yield row(f"{40_000 + number}", symbol, "SHARE1", "NFO", "OPTSTK", **option)
            case 2:
                yield row(f"{50_000 + number}", f"GOLD{number}FUT", "GOLD", "MCX", "FUTCOM")
            case 3:
                yield nse(f"7{number}AP34", 1_000_000 + number, "SG")
            case _:
                yield bse(f"{number}IGT28", 900_000 + number % 90_000)


def master(size: int = 150_000, share_count: int = 10_000) -> list[Row]:
    """Return a list of `size` rows, with shares and other rows mixed evenly."""
    rows = [*indices(), *shipped()]
    listed = list(shares(share_count))
    rest = list(others(size - len(rows) - len(listed)))
    every = max(len(rest) // max(len(listed), 1), 1)
    mixed = iter(rest)
    for share in listed:
        rows.append(share)
        rows += [instrument for _, instrument in zip(range(every), mixed, strict=False)]
    return [*rows, *mixed]


class ScripMasterServer:
    """Serves one body. Its attributes set its failures."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.serve(rows)
        self.status = 200
        self.content_type = "application/json"
        self.sends_length = True
        self.packed = False
        # Close the connection after this many bytes.
        self.cut_after: int | None = None
        # Pause after this many bytes until `resume` is set.
        self.stall_after: int | None = None
        self.resume = threading.Event()
        self.stalled = threading.Event()
        self.requests = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def serve(self, rows: Iterable[Row | str]) -> None:
        """Serve these rows; a string is a malformed row."""
        self.body = json.dumps(list(rows), separators=(",", ":")).encode()

    def __enter__(self) -> ScripMasterServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resume.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        master = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                master.requests += 1
                master.answer(self)

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        return Handler

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        body = zlib.compress(self.body, wbits=31) if self.packed else self.body
        to.send_response(self.status if to.path == PATH else 404)
        to.send_header("Content-Type", self.content_type)
        if self.packed:
            to.send_header("Content-Encoding", "gzip")
        if self.sends_length:
            to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.close_connection = True
        try:
            self._send(body, to)
        except (BrokenPipeError, ConnectionResetError):
            # The client stopped reading.
            return

    def _send(self, body: bytes, to: BaseHTTPRequestHandler) -> None:
        if self.cut_after is not None:
            to.wfile.write(body[: self.cut_after])
            return
        start = 0
        if self.stall_after is not None:
            to.wfile.write(body[: self.stall_after])
            to.wfile.flush()
            self.stalled.set()
            self.resume.wait()
            start = self.stall_after
        to.wfile.write(body[start:])
