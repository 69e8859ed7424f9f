"""How bytes come in: connections, HTTP requests and WebSockets, in every async mode.

The servers that come with each mode parse HTTP differently and have none of these limits. This
one is blocking code over sockets. eventlet and gevent patch those, so it runs in green threads
there and in real threads in `threading`. httptools (llhttp) and wsproto do the parsing.

`run.py` imports `listener` early, so nothing is imported here.
"""
