"""Candles of Yahoo, Kite and NSE: read completely or refused, and turned into ticks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app.domain.candle import IST
from app.domain.quote import Quote
from app.market_data.calendar import TradingCalendar
from app.market_data.instruments.registry import load_instruments
from app.market_data.recordings.candle_files import CandleFileError, CandleReader, FileCandle
from app.market_data.recordings.candle_ticks import ticks_of

YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume\n"
KITE = "date,open,high,low,close,volume,oi\n"
OLD = (
    "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,"
    "ISIN,\n"
)
FULL = (
    "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, "
    "CLOSE_PRICE, AVG_PRICE, TTL_TRD_QNTY, TURNOVER_LACS, NO_OF_TRADES, DELIV_QTY, DELIV_PER\n"
)
UDIFF = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,"
    "FininstrmActlXpryDt,StrkPric,OptnTp,FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,"
    "PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,ChngInOpnIntrst,TtlTradgVol,TtlTrfVal,"
    "TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4\n"
)


def udiff(symbol: str, series: str = "EQ", source: str = "NSE") -> str:
    return (
        f"2024-07-08,2024-07-08,CM,{source},STK,2885,INE002A01018,{symbol},{series},,,,,{symbol},"
        "1390.00,1410.00,1385.00,1405.50,1405.00,1388.00,,1405.50,,,1200000,0,0,F1,1,,,,,\n"
    )


def read(
    path: Path, text: str, *, format: str | None = None, symbols: Collection[str] = ()
) -> list[FileCandle]:
    path.write_text(text, encoding="utf-8")
    return CandleReader(load_instruments(), format, symbols).read(path)


def refusal(path: Path, text: str, *, format: str | None = None) -> str:
    with pytest.raises(CandleFileError) as error:
        read(path, text, format=format)
    return str(error.value).removeprefix(f"{path}, ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file whose name is the symbol."""
    return tmp_path / "RELIANCE.NS.csv"


def candle(begins: str, *prices: str, **others: object) -> FileCandle:
    time = datetime.fromisoformat(begins).replace(tzinfo=IST)
    amounts = tuple(Decimal(price) for price in prices)
    known = {"volume": None, "previous_close": None, **others}
    return FileCandle("RELIANCE.NS", time, *amounts, **known)  # type: ignore[arg-type]


def described(ticks: list[Quote]) -> list[tuple[str, int]]:
    return [(f"{tick.timestamp.astimezone(IST):%m-%d %H:%M:%S}", int(tick.price)) for tick in ticks]


DAY = candle("2024-07-08", "1390", "1410", "1385", "1405.50", volume=1_200_000)
WITH_PREVIOUS = candle(
    "2024-07-08",
    *("1390", "1410", "1385", "1405.50"),
    volume=1_200_000,
    previous_close=Decimal(1_388),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{YAHOO}2024-07-08,1390.000000,1410,1385,1405.499999,1401.2,1200000\n", DAY),
        (
            "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
            "2024-07-08 00:00:00+05:30,1390.0,1410.0,1385.0,1405.5,1200000,0.0,0.0\n",
            DAY,
        ),
        (
            "Price,Close,High,Low,Open,Volume\n"
            "Ticker,RELIANCE.NS,RELIANCE.NS,RELIANCE.NS,RELIANCE.NS,RELIANCE.NS\n"
            "Date,,,,,\n2024-07-08,1405.5,1410.0,1385.0,1390.0,1200000\n",
            DAY,
        ),
        (f"{KITE}2024-07-08 00:00:00+05:30,1390,1410,1385,1405.5,1200000,0\n", DAY),
        (
            f"{OLD}RELIANCE,EQ,1390,1410,1385,1405.5,1405,1388,1200000,1,08-JUL-2024,9,INE0,\n",
            WITH_PREVIOUS,
        ),
        (
            f"{FULL}RELIANCE, EQ, 08-Jul-2024, 1388.00, 1390.00, 1410.00, 1385.00, 1405.00, "
            "1405.50, 1400.00, 1200000, 1.0, 9, -, -\n",
            WITH_PREVIOUS,
        ),
        (UDIFF + udiff("RELIANCE"), WITH_PREVIOUS),
    ],
    ids=[
        "yahoo",
        "yfinance",
        "yfinance with two levels",
        "kite",
        "bhavcopy",
        "bhavcopy in full",
        "UDiFF",
    ],
)
def test_each_format_is_found_by_its_columns(path: Path, text: str, expected: FileCandle) -> None:
    assert read(path, text) == [expected]


def test_a_candle_of_some_minutes_has_its_time_in_india(path: Path) -> None:
    text = "Datetime,Open,High,Low,Close,Volume\n2024-07-08 03:45:00+00:00,1,4,1,2,5\n"

    assert read(path, text)[0].begins == datetime(2024, 7, 8, 9, 15, tzinfo=IST)
    assert str(read(path, text)[0].begins.tzinfo) == "IST"


def test_of_a_bhavcopy_shares_that_are_known_and_chosen_are_taken(tmp_path: Path) -> None:
    rows = [udiff("RELIANCE"), udiff("TCS"), udiff("RELIANCE", "N1"), udiff("NOSUCH")]
    text = UDIFF + "".join([*rows, udiff("RELIANCE", "A", "BSE")])
    (tmp_path / "all.csv").write_text(text)
    reader = CandleReader(load_instruments(), None, ())

    found = [candle.symbol for candle in reader.read(tmp_path / "all.csv")]
    assert found[:2] == ["RELIANCE.NS", "TCS.NS"]
    assert reader.skipped == 5 - len(found)
    chosen = read(tmp_path / "some.csv", text, symbols=["TCS.NS"])
    assert [candle.symbol for candle in chosen] == ["TCS.NS"]


def test_a_day_without_a_trade_is_skipped(path: Path) -> None:
    text = f"{YAHOO}2024-07-07,null,null,null,null,null,null\n\n2024-07-08,1,2,1,2,2,3\n"

    assert len(read(path, text)) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2024-07-08,1390,14x0,1385,1405,1,2", "line 3, column High: '14x0' is not a price."),
        ("2024-07-08,1390,1410,0,1405,1,2", "line 3, column Low: '0' is not a price."),
        ("2024-07-08,1390,,1385,1405,1,2", "line 3, column High: '' is not a price."),
        (
            "2024-07-08,1390,1400,1385,1405,1,2",
            "line 3, column High: 1400.00 is not the highest price of the row.",
        ),
        (
            "2024-07-08,1390,1410,1395,1405,1,2",
            "line 3, column Low: 1395.00 is not the lowest price of the row.",
        ),
        ("08/07/2024,1,2,1,2,2,3", "line 3, column Date: '08/07/2024' is not a date or time."),
        ("2024-07-08,1,2,1,2,2,many", "line 3, column Volume: 'many' is not a number of units."),
        ("2024-07-08,1,2,1", "line 3, column Close: the row ends before it."),
        ("2024-07-05,1,2,1,2,2,3", "line 3, column Date: RELIANCE.NS has this time in "),
    ],
)
def test_an_unusable_row_is_named_by_line_and_column(path: Path, row: str, reason: str) -> None:
    text = f"{YAHOO}2024-07-05,1,2,1,2,2,3\n{row}\n"

    assert refusal(path, text).startswith(reason)


def test_other_columns_are_refused_with_those_that_are_expected(path: Path) -> None:
    assert refusal(path, "a,b\n") == (
        "line 1: the columns are those of no format: yahoo has Date, Open, High, Low, Close; "
        "yahoo has Datetime, Open, High, Low, Close; kite has date, open, high, low, close; "
        "nse-bhavcopy has TIMESTAMP, OPEN, HIGH, LOW, CLOSE, SYMBOL, SERIES; "
        "nse-bhavcopy has DATE1, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, CLOSE_PRICE, SYMBOL, SERIES; "
        "nse-bhavcopy has TradDt, OpnPric, HghPric, LwPric, ClsPric, TckrSymb, SctySrs, Src."
    )
    assert "kite has date" in refusal(path, YAHOO, format="kite")


def test_a_frame_of_several_symbols_is_refused(path: Path) -> None:
    text = "Price,Close,Close\nTicker,TCS.NS,INFY.NS\nDate,,\n2024-07-08,1,2\n"

    assert refusal(path, text) == "line 2: candles of several symbols; write a file for each."


def test_a_file_of_an_unknown_symbol_is_refused(tmp_path: Path) -> None:
    text = f"{YAHOO}2024-07-08,1,2,1,2,2,3\n"
    path = tmp_path / "download.csv"
    path.write_text(text)

    with pytest.raises(
        CandleFileError, match="'download' is not a known symbol: name it with --symb"
    ):
        read(path, text)
    assert read(path, text, symbols=["TCS.NS"])[0].symbol == "TCS.NS"


def test_a_rising_candle_reaches_its_low_first_and_a_falling_one_its_high() -> None:
    days = [
        candle("2024-07-08", "100", "140", "90", "120", volume=10),
        candle("2024-07-09", "100", "140", "90", "99"),
    ]
    ticks = ticks_of(days, TradingCalendar())

    assert described(ticks) == [
        ("07-08 09:15:00", 100),
        ("07-08 11:20:00", 90),
        ("07-08 13:25:00", 140),
        ("07-08 15:29:59", 120),
        ("07-09 09:15:00", 100),
        ("07-09 11:20:00", 140),
        ("07-09 13:25:00", 90),
        ("07-09 15:29:59", 99),
    ]
    details = [tick.details for tick in ticks]
    assert [each.low for each in details[:4]] == [100, 90, 90, 90]
    assert [each.volume for each in details] == [None, None, None, 10, None, None, None, None]
    assert [each.previous_close for each in details] == [None] * 4 + [120] * 4


def test_candles_of_an_hour_end_with_the_next_one_or_with_the_session() -> None:
    hours = [
        candle(f"2024-07-08T{time}", "100", "102", "98", "101", volume=5)
        for time in ("09:15", "10:15", "15:15")
    ]
    ticks = ticks_of(hours, TradingCalendar())

    times = [time for time, _ in described(ticks)]
    assert times[:5] == [
        *("07-08 09:15:00", "07-08 09:35:00", "07-08 09:55:00", "07-08 10:14:59"),
        "07-08 10:15:00",
    ]
    assert times[-4:] == [f"07-08 15:{rest}" for rest in ("15:00", "20:00", "25:00", "29:59")]
    assert [tick.details.volume for tick in ticks[3::4]] == [5, 10, 15]
