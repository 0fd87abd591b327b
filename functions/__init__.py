"""The entries that are deployed: one thin module for each way to run the application."""

import gc

# A start makes some hundred thousand objects, and they stay. With the default threshold of 700
# the collector looks at them again and again, which is a tenth of a cold start.
gc.set_threshold(500_000)
