"""The Lambda runtime loop, which runs any ASGI application and streams its answers.

It takes invocations from the Runtime API, and posts what the application sends as it is sent.
It knows neither the application nor its framework.
Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
"""
