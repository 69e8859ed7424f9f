"""What config.py is made of: the environment, origins, the data folder, checks of production.

It imports neither Flask nor the database, so that it is read before either.
"""
