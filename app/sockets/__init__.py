"""The Socket.IO server under the handlers: python-socketio with limits on its clients.

`engine` limits sessions and their queues, `server` the accepted packets. `extension` puts both
under Flask-SocketIO.
"""
