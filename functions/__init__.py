"""What is deployed."""

import gc

# A start makes objects by the hundred thousand, and they stay. Looking through them again and
# again, as the default threshold of 700 has it, is a tenth of a cold start.
gc.set_threshold(500_000)
