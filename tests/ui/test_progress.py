import os
import sys

import pytest

from ui.progress import reporting


def test_away_from_a_terminal_each_stage_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting() as report:
        for done in range(3):
            report("train mood", done, 3, "epoch 1" if done == 0 else "")
            report("measure", done, 3, "")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "train mood (epoch 1)\nmeasure\n")


def test_on_a_terminal_bars_are_drawn_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with reporting() as report:
            report("train [mood]", 1, 3, "epoch 1")
            report("a stage of unknown length", 0, 0, "")
        terminal.flush()
        drawn = os.read(reader, 100_000).decode()
    os.close(reader)
    assert "train [mood]" in drawn
    assert "1/3" in drawn
    assert "\x1b[2K" in drawn
