"""A proxy that is as strict as MongoDB, and the suites that run through it.

`python -m tests.mongodb` starts the embedded server as a replica set, puts the proxy before it and
runs the suites. No MongoDB server is needed.
"""
