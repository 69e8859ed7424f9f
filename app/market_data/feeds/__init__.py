"""The three feeds: live, replayed and simulated prices."""
