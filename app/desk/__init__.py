"""The trading desk: a web page at / that uses the public API and its sockets, and nothing else."""
