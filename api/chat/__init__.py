"""Chat on Ably.

`rooms` keeps who is in a room and with which role. `tokens` lets a browser connect to Ably for its
rooms. `messages` sends messages through us and reads the history. `webhook` stores what Ably
delivers in our topics. `ably` calls Ably, and `http` has the routes.
"""
