"""The parts of the stress run, one module each; the package above says what a part has."""
