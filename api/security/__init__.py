"""Who calls, and what the caller may do. Only `routes` uses the web framework."""
