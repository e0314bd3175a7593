"""Text generation: the answer is a text, written token by token by the base model and the expert on it."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp
from typing import TYPE_CHECKING, Any

from trainer.data import Row, is_empty, refusal
from trainer.inputs import Input
from trainer.settings import ExpertSettings
from trainer.tasks import Answer, prepare_nothing, settle_nothing
from trainer.templates import Template

if TYPE_CHECKING:
    from torch import Tensor, nn

REQUIRED = ("text", "target")
OPTIONAL = ("text_pair",)
TARGET = "target"
METRIC = "token_f1"
CHOICES = False
WRITES = True
FEW = 12
"""Different targets that are remarked on when there are no more: they might be labels."""

LARGEST = 100.0
"""Mean surprise that is told apart: its exponential is a number that JSON has."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")

prepare, settle = prepare_nothing, settle_nothing


def recognises(columns: Mapping[str, str], rows: Sequence[Row]) -> bool:
    """Whether each text, or pair, has a target."""
    return set(REQUIRED) <= set(columns) <= {*REQUIRED, *OPTIONAL, "split"}


def check(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """No labels; a remark when the targets could be some.

    Raises:
        DataRefusedError: an empty target.
    """
    for row in rows:
        if is_empty(row.values[TARGET]):
            raise refusal(row.source, row.line, "the target is empty")
    different = len({row.values[TARGET] for row in rows})
    if different > FEW or different == len(rows):
        return (), ()
    return (), (
        f"only {different} different targets, which are written all the same; "
        "--kind classification takes them as labels",
    )


def labels_of(row: Row) -> tuple[str, ...]:
    """None: any text may be the answer."""
    return ()


def configure(settings: ExpertSettings, roles: Sequence[str]) -> dict[str, Any]:
    """The template of the prompt.

    Raises:
        InvalidSettingError: it does not fit the rows.
    """
    template = Template.plain(roles) if settings.template is None else settings.template
    Template.of(template).check(roles)
    return {"template": template}


def head(inputs: int, labels: Sequence[str]) -> "nn.Module":
    """Nothing of its own: the base model's words are read off the states as they are."""
    from torch import nn

    return nn.Identity()


def targets(head: "nn.Module", rows: Sequence[Row], labels: Sequence[str]) -> "Tensor":
    """Nothing, `(rows, 0)`: the target's tokens are part of the sequence."""
    import torch

    return torch.empty(len(rows), 0)


def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """The mean surprise of a target's token, averaged over the batch: each row counts alike, however long its
    target is."""
    return (outputs[:, 0] / outputs[:, 1]).mean()


def fit(outputs: "Tensor") -> dict[str, float]:
    """Perplexity: the exponential of the mean surprise over all tokens of all targets, their ends too."""
    surprise, tokens = outputs.double().sum(0).tolist()
    return {"perplexity": exp(min(surprise / tokens, LARGEST))}


def answers(
    head: "nn.Module", texts: Sequence[str], labels: Sequence[str], inputs: Sequence[Input]
) -> list[Answer]:
    """The texts, as they were written."""
    return [Answer(text) for text in texts]


def combine(answers: Sequence[Answer], weights: Sequence[float], asked: Input) -> Answer:
    """The text of the one that counts most; experts of a batch mix while they write, into one text."""
    return max(zip(weights, answers, strict=True), key=lambda one: one[0])[1]


def metrics(answers: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    """The mean F1 of words, the mean ROUGE-L, and the share of answers that are the target; of normal
    words."""
    pairs = _pairs(answers, rows)
    return {
        METRIC: sum(_token_f1(*pair) for pair in pairs) / len(pairs),
        "rouge_l": sum(_rouge_l(*pair) for pair in pairs) / len(pairs),
        "exact_match": sum(said == right for said, right in pairs) / len(pairs),
    }


def credits(answers: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """The F1 of an answer's words and the target's, in any order."""
    return [_token_f1(*pair) for pair in _pairs(answers, rows)]


def normal_words(text: str) -> list[str]:
    """The words of a text as SQuAD compares them: without case, punctuation and articles."""
    plain = "".join(one for one in text.lower() if not unicodedata.category(one).startswith("P"))
    return _ARTICLES.sub(" ", plain).split()


def _pairs(answers: Sequence[str], rows: Sequence[Row]) -> list[tuple[list[str], list[str]]]:
    return [
        (normal_words(answer), normal_words(row.values[TARGET]))
        for answer, row in zip(answers, rows, strict=True)
    ]


def _token_f1(said: Sequence[str], right: Sequence[str]) -> float:
    return _f1((Counter(said) & Counter(right)).total(), said, right)


def _rouge_l(said: Sequence[str], right: Sequence[str]) -> float:
    return _f1(_longest_common(said, right), said, right)


def _f1(hits: int, said: Sequence[str], right: Sequence[str]) -> float:
    """Where one side has no words, they agree if neither has."""
    return 2 * hits / (len(said) + len(right)) if said or right else 1.0


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence: a column of its table at a time, as the bits of one
    number, 0 where the table rises."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    whole = (1 << len(one)) - 1
    column = whole
    for word in other:
        risen = column & places.get(word, 0)
        column = (column + risen | column - risen) & whole
    return len(one) - column.bit_count()
