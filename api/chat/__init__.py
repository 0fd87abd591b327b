"""Chat on Ably: rooms and who is in them, tokens for Ably's SDKs, and messages into our topics."""
