"""SASRec on Beauty: above what needs no training, and above published figures; not run without the data."""

from collections.abc import Callable

from torch import nn

from pocketrec.model_zoo.data import amazon
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.baselines import baselines
from pocketrec.model_zoo.training.loop import measured

Trained = Callable[[str], nn.Module]


def test_sasrec_on_beauty_holds_its_floors_above_transition_counts(
    trained: Trained, shop: Callable[[str], str]
) -> None:
    family, name = FAMILIES["sasrec-beauty"], shop("amazon-beauty")
    net, data = trained("sasrec-beauty"), amazon.leave_one_out(data=name)
    hit_rate, ndcg = measured(lambda batch: net(batch["history"]), data)
    counted = baselines(name).markov
    assert hit_rate >= family.floor("hr@10") > max(counted[0], family.references[0].value)
    assert ndcg >= family.floor("ndcg@10") > max(counted[1], family.references[1].value)
