"""Where records go beside the store: each sink behind a cursor of its own."""
