"""Documents as pictures, drawn on the server: one file a plot."""
