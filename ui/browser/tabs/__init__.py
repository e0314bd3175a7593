"""One file a tab: TITLE, PLACE (its order) and `build(context)`, called inside its `gr.Tab`."""
