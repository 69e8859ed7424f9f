"""The kind of MongoDB deployment: transactions need a replica set or a sharded cluster."""

from __future__ import annotations

from app.database import database
from app.extensions import mongo
from config import ConfigurationError

STANDALONE = """\
MONGO_URI: names a standalone MongoDB, which has no transactions. Make it a replica set:
    with docker, start it with --replSet and initiate it once:
      docker run -d --name mongo -p 127.0.0.1:27017:27017 mongo --replSet rs0 --bind_ip_all
      docker exec mongo mongosh --eval \
"rs.initiate({_id: 'rs0', members: [{_id: 0, host: '127.0.0.1:27017'}]})"
    with mongod.conf, add these lines, restart mongod, and initiate it once:
      replication:
        replSetName: rs0
      mongosh --eval "rs.initiate()"
    then set MONGO_URI=mongodb://127.0.0.1:27017/?replicaSet=rs0"""


def require_transactions() -> None:
    """Raise ConfigurationError, with the remedy, for a standalone MongoDB."""
    if describe_deployment() is None:
        raise ConfigurationError([STANDALONE])


def recognize_secantus() -> None:
    """Note whether the server is SecantusDB: app.database.hints and the pages depend on it."""
    mongo.is_secantus = _is_secantus()


def describe_deployment() -> str | None:
    """Return what kind of deployment the database is, None for a standalone MongoDB."""
    admin = database().client.admin
    hello = admin.command("hello")
    if "setName" in hello:
        return f"replica set {hello['setName']}"
    # What mongos answers: https://www.mongodb.com/docs/manual/reference/command/hello.
    if hello.get("msg") == "isdbgrid":
        return "a sharded cluster"
    # SecantusDB: has transactions as a lone server. A lone MongoDB has none.
    return "a lone server" if _is_secantus() else None


def _is_secantus() -> bool:
    return "secantusVersion" in database().client.admin.command("buildInfo")
