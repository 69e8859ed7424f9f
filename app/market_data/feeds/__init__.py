"""Feeds: where the ticks of a pass come from, whatever their source."""
