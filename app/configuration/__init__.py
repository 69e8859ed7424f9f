"""The parts of config.py: the environment, origins, the checks of production.

It imports neither Flask nor the database, because it is imported before both.
"""
