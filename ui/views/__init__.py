"""What pages show, as plain documents: pure functions of a registry, one file a topic."""
