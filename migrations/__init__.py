"""Alembic revisions of the registry's schema."""
