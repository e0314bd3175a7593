"""What was asked, as a command and in Python that ask the same."""

from trainer.inputs import Input
from ui.views.asking import Manner, command, python


def test_what_was_chosen_stands_in_the_command_and_what_was_not_does_not() -> None:
    assert command(Input("how tall?"), Manner()) == "registry predict -- 'how tall?'"
    manner = Manner(
        generation="router@2",
        fallback="top-k",
        top_k=2,
        writing={"temperature": 0.7, "max_new_tokens": 40},
    )
    assert command(Input("why?", choices=("it rained", "no")), manner) == (
        "registry predict --router router@2 --fallback top-k --top-k 2 --temperature 0.7 --max-new-tokens 40"
        " --choice 'it rained' --choice no -- 'why?'"
    )
    alone = Manner(expert="mood@1", fallback="top-k", top_k=2)
    assert command(Input("-x"), alone) == "registry predict --expert mood@1 -- -x"
    assert command(Input("a", "b", ("c", "d")), Manner()) == (
        "registry predict --data pairs.csv  # with the columns text, text_pair, choice_0 and choice_1"
    )


def test_python_imports_what_it_uses() -> None:
    assert python(Input("a", "b"), Manner(expert="mood@1", top_k=3)) == (
        "from registry import Registry\n"
        "from trainer import MoE\n\n"
        "with Registry() as registry:\n"
        "    print(MoE.load(registry, expert='mood@1').predict([('a', 'b')]))\n"
    )
    manner = Manner(generation="router@2", top_k=3, writing={"temperature": 0.5})
    assert python(Input("a", choices=("c", "d")), manner) == (
        "from registry import Registry\n"
        "from trainer import Decoding, Input, MoE\n\n"
        "with Registry() as registry:\n"
        "    print(MoE.load(registry, 'router@2').predict([Input('a', choices=('c', 'd'))], top_k=3,"
        " decoding=Decoding(temperature=0.5)))\n"
    )
