"""What the rows share: a world to measure in, its books, and clients that load its servers.

    with world() as here, apart() as clients:
        users = seed_users(here, 16)
        seed_trades(here, users, 100)
        calls = [
            Call("GET", f"/portfolio/{user}", token)
            for user, token in zip(users, here.tokens(users), strict=True)
        ]
        with here.server("eventlet", RATELIMIT_ENABLED="true") as server:
            answers = clients.submit(drive, server.port, calls, 3.0).result().require(200)

`crowd()` is a data folder with 100,000 active trades for `world(copy_of=...)`. One world at a
time in a process: the application's extensions are the process's.
"""
