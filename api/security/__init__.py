"""Who calls, and what they may do. Knows topics as plain text and nothing of HTTP frameworks."""
