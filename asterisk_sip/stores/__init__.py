"""Where records are kept: one protocol, one schema, one set of queries; a file per engine."""
