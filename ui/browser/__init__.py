"""The browser app, in Gradio. A tab is one file in `tabs`: nothing else has to know of it."""

import os

# Gradio reads these when it is imported. Nothing may leave the host.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# It guesses how long a function takes from its last 10,000 calls, anew with each call; the jobs' own progress
# is what people are shown.
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "100"
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000"
