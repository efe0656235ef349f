"""Every bundle whose vocabulary has a tokenizer holds texts that languages could cut otherwise."""

from __future__ import annotations

from dataclasses import replace

from tests.package.host.test_wordpiece import ALIKE
from tests.package.host.toys import Model, contract_of, history, scores

from pocketrec.contract import Signature, Tokenizer
from pocketrec.package.api_text import TEXTS, text_rules
from pocketrec.package.host.items import Items
from pocketrec.package.host.wordpiece import tokenize


def test_texts_are_cut_whole_and_too_long_over_vocabularies_with_a_tokenizer_only() -> None:
    spec = replace(ALIKE.spec, tokenizer=Tokenizer())
    model = Model(
        contract_of(Signature(inputs=(history(),), outputs=(scores(),))),
        word=Items("word", spec, ALIKE.tokens),
    )
    rules = list(text_rules(replace(model.host, tokenize=tokenize)))
    assert {each["arguments"]["vocabulary"] for each in rules} == {"word"}
    assert len(rules) == 2 * len(TEXTS)
    answers = {(each["arguments"]["text"], each["arguments"]["most"]): each["answer"] for each in rules}
    assert [ALIKE.tokens[each] for each in answers["unaffable!", 4]] == ["[CLS]", "un", "##aff", "[SEP]"]
    assert [ALIKE.tokens[each] for each in answers["a" * 101, 256]] == ["[CLS]", "[UNK]", "[SEP]"]
