"""BPR-MF: users and items as vectors, learned so that what was chosen is above the rest (Rendle et al. 2009).

    x_ui = <w_u, h_i>        max  Σ ln σ(x_ui - x_uj) - λ ‖Θ‖²        (their section 4.3.1, and BPR-OPT)

A user is a row of the table, so only users of the training have one. Anybody else is id 0, whose row is the
mean of all others, and gets what most people like until the next training knows them.
"""

from __future__ import annotations

from pocketrec.model_zoo.data import choices, movielens
from pocketrec.model_zoo.families.parts.factors import Factors
from pocketrec.model_zoo.training.loop import Schedule
from pocketrec.model_zoo.training.pairwise import fit_pairs
from pocketrec.model_zoo.training.run import Run

SCHEDULE = Schedule(epochs=40, patience=12, every=2, learning_rate=5e-3)
BATCH_SIZE = 4096
DECAY = 1e-3


def model(*, num_users: int, num_items: int, dim: int = 64) -> Factors:
    """The tables in eval mode with random rows; numbers count without the id 0."""
    return Factors(users=num_users, items=num_items, dim=dim).eval()


def train(run: Run, schedule: Schedule = SCHEDULE) -> Factors:
    """The tables learned on MovieLens-100K, in eval mode; the best epoch by NDCG@10 on validation."""
    net = model(
        num_users=len(movielens.user_vocabulary().tokens) - 1,
        num_items=len(movielens.item_vocabulary().tokens) - 1,
    )
    data = choices.training_choices(), choices.leave_one_out(split="valid")
    fit_pairs(net, *data, schedule=schedule, batch_size=BATCH_SIZE, decay=DECAY, run=run)
    return net
