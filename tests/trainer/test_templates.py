"""What stands around a text where answers are written."""

from dataclasses import replace
from pathlib import Path

import pytest

from registry import Registry
from registry.errors import InvalidSettingError
from tests.trainer.samples import WRITING
from trainer import MoE, add_task
from trainer.base_model import BaseModel
from trainer.inputs import Input
from trainer.prompts import Prompts
from trainer.templates import Template


def test_a_pair_has_its_place_in_the_template(llama: BaseModel, tmp_path: Path) -> None:
    lines = [[f"thing {place}", f"other {place % 7}", f"both {place}"] for place in range(60)]
    (tmp_path / "pairs.csv").write_text("\n".join(map(",".join, [["question", "context", "answer"], *lines])))
    with Registry(tmp_path / "home") as registry:
        settings = replace(WRITING, epochs=1)
        for template in ("{text}\n{pair}\n", "{pair}\nQ: {text}"):
            expert = add_task(
                registry,
                tmp_path / "pairs.csv",
                base_model=llama,
                settings=replace(settings, template=template),
            ).expert
            prompts = Prompts.of(
                llama, MoE.load(registry, expert=expert.name, base=llama).bank.members[0].architecture
            )
            read = prompts.read(Input("one", "two"))
            assert llama.spell(read.ids) == template.format(text="one", pair="two").strip()
            assert prompts.goes_on == template.startswith("{text}")
        again = add_task(registry, tmp_path / "pairs.csv", base_model=llama, settings=settings)
        assert (again.created, again.expert.name) == (False, "pairs@1")
        with pytest.raises(InvalidSettingError, match=r"say with \{pair\} where it stands"):
            add_task(
                registry,
                tmp_path / "pairs.csv",
                base_model=llama,
                settings=replace(settings, template="{text}"),
            )


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("no place", "has no {text}"),
        ("{text} {label}", "holds something else in braces"),
        ("{text!r}", "holds something else in braces"),
        ("{text:>9}", "holds something else in braces"),
        ("{}", "holds something else in braces"),
        ("{text} {text}", "names one of its parts twice"),
        ("{text", "cannot be read"),
        ("{text} }", "cannot be read"),
        ("{text}" + "x" * 2_000, "too long"),
    ],
)
def test_a_template_that_is_none_is_refused(template: str, why: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        Template.of(template)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
    with pytest.raises(InvalidSettingError):
        replace(WRITING, template=template)


def test_braces_that_are_meant_are_written_twice() -> None:
    template = Template.of('{{"q": "{text}"}}\n')
    assert (template.before, template.after) == ('{"q": "', '"}\n')
    assert template.fill("hello {text}", None) == "hello {text}"
