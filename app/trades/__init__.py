"""Opening, exiting and settling trades."""
