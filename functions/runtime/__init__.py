"""The Lambda runtime loop: any ASGI application, with its answers streamed.

Takes invocations from the Runtime API and posts what the application sends, as it sends it.
Knows neither the application nor its framework.
"""
