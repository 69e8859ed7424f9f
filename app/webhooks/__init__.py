"""Webhooks: endpoints of users, which receive their events as signed HTTP requests."""
