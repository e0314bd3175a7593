"""The browser app, in Gradio. A tab is one file in `tabs`: nothing else has to know of it."""

import os

# Nothing may leave the host; Gradio reads this when it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
