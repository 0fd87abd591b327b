"""Chat on Ably.

`rooms` says who is in a room and may do what. `tokens` lets a browser connect to Ably for its
rooms. `messages` sends through us and reads the past. `webhook` brings what Ably delivers into
our topics. `ably` speaks to Ably, and `http` is what callers ask.
"""
