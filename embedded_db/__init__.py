"""The embedded database: SecantusDB as a child process, with its storage in the data folder.

`run.py` starts it before it imports the application, because each takes about a second. This
package therefore imports neither the application nor PyMongo, and nothing else that loads slowly.
"""
