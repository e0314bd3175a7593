"""Python that a person may copy: what does the same as a button, or asks for the same job once more."""


def program(*lines: str, imported: str | None = None) -> str:
    """Python that opens the registry and runs these lines, which know it as `registry`."""
    head = ["from registry import Registry", *([imported] if imported else [])]
    return "\n".join([*head, "", "with Registry() as registry:", *(f"    {one}" for one in lines)]) + "\n"
