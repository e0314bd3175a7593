"""One file per revision; `registry.schema.REVISIONS` lists them in order."""
