"""The stress run behind docs/results/reliability.md: many at once, killed anywhere, nothing lost.

A part is a module in `tests/stress/parts/`, found by its file name. It has:

- `TITLE`: what is done, in a few words, for the report.
- `TARGET`: the figure to reach at full size, for the report.
- `MINUTES`: what it takes at full size on two quiet cores, for the time left.
- `SMALL`: the scale at which it takes a few seconds; `make test` runs it at this scale.
- `run(folder, scale) -> dict[str, int | float]`: does it in the empty folder `folder`; full size is scale 1.
  The names of the figures are read after their numbers: `{"adds": 8000, "lost": 0}` is "8,000 adds, 0 lost".
- `reached(figures) -> bool`: whether these figures, at any scale, are what was promised.
- `missing() -> str | None`, if it needs a tool that not every machine has: says what is missing, and then the
  part is left out.
- `RESUMES = True`, if after an interruption it goes on from what it left in `folder`; else it starts anew.

Each part runs in a process of its own with one thread, so it may fork (`tests.stress.forks`).
"""
