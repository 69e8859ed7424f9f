"""The Socket.IO server under the handlers: python-socketio, with limits on what clients may do.

`engine` bounds what waits for a client and which sessions there are. `server` takes only the
packets this application has a use for. `extension` puts both under Flask-SocketIO.
"""
