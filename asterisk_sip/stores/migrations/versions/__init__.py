"""The steps from one schema to the next. A step that was released is never changed.

The first is SQLite's alone: PostgreSQL begins with the newest tables. Those after it are run on both engines, and ask
``op.get_bind().dialect.name`` where they differ.
"""
