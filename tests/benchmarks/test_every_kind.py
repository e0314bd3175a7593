"""The pool of every kind: that it is one, and the tasks of several labels in it."""

from collections import Counter
from pathlib import Path

from benchmarks.every_kind import MEMBERS, Member, labelled
from trainer import kinds
from trainer.pipeline import ExpertSettings


def test_two_tasks_of_each_kind_and_every_adapter_kind_are_in_it() -> None:
    assert Counter(member.kind for member in MEMBERS) == dict.fromkeys(kinds.names("tasks"), 2)
    trained = {name for name in kinds.names("adapters") if kinds.load("adapters", name).TARGETS}
    assert {member.adapter for member in MEMBERS} == trained
    sizes = {(576, 576), (576, 192)}
    for member in MEMBERS:
        assert ExpertSettings(adapter=member.adapter, **member.settings).shape(sizes)


def test_the_parts_that_are_named_in_one_column_are_the_labels_of_the_other(tmp_path: Path) -> None:
    said = ("10 days of rain,[IN:A [SL:TIME 10 days ] [SL:KIND rain ] ]", "No,[IN:B ]", "At 9,[SL:TIME 9 ]")
    (tmp_path / "said.csv").write_text("\n".join(["text,target", *said]))
    member = Member("parts", "multi_label", "lora", parts=r"\[SL:(\w+)")
    made = labelled(member, tmp_path / "said.csv", ["TIME", "KIND"], tmp_path / "made.csv")
    assert made.read_text() == "text,label\n10 days of rain,KIND|TIME\nAt 9,TIME\n"
