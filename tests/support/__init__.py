"""What the tests share: real alternatives to the clock and the feed, users, and servers."""
