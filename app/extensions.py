"""The Flask extensions, created unbound; `create_app` binds them."""

from __future__ import annotations

from flask_cors import CORS
from flask_jwt_extended import JWTManager
from flask_limiter import Limiter
from flask_pymongo import PyMongo

from app.sockets.extension import SocketIO
from app.web.limit_keys import rate_limit_key


class Mongo(PyMongo):
    """The client of the database, and what its server is."""

    # Whether the server is SecantusDB, which needs some queries written differently.
    is_secantus = False


cors = CORS()
jwt = JWTManager()
limiter = Limiter(key_func=rate_limit_key)
mongo = Mongo()
socketio = SocketIO()
