"""The commands of `flask --app run`."""

from __future__ import annotations

from flask import Flask

from app.cli.backup import backup, restore
from app.cli.corporate_actions import corporate_actions
from app.cli.doctor import doctor
from app.cli.import_candles import import_candles
from app.cli.instruments import instruments
from app.cli.migrate import migrate
from app.cli.reconcile import reconcile
from app.cli.record import record
from app.cli.retention import retention
from app.cli.users import users
from app.cli.verify import verify_trade


def init_app(app: Flask) -> None:
    app.cli.add_command(reconcile)
    app.cli.add_command(doctor)
    app.cli.add_command(instruments)
    app.cli.add_command(corporate_actions)
    app.cli.add_command(retention)
    app.cli.add_command(migrate)
    app.cli.add_command(backup)
    app.cli.add_command(restore)
    app.cli.add_command(users)
    app.cli.add_command(verify_trade)
    app.cli.add_command(record)
    app.cli.add_command(import_candles)
