"""RQ-VAE: vectors as a few codes each, every code saying what those before it left (Lee et al., 2022).

z = f(x), r_0 = z, c_d = argmin_c ‖r_d − e_{d,c}‖, r_{d+1} = r_d − e_{d,c_d}, x̂ = g(Σ_d e_{d,c_d}), and
L = ‖x − x̂‖² + Σ_d ‖sg[r_d] − e_{d,c_d}‖² + β ‖r_d − sg[e_{d,c_d}]‖².
"""

from __future__ import annotations

from collections import Counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COMMITMENT = 0.25  # β
STEPS = 600
LEARNING_RATE = 2e-3
_ROUNDS = 10  # of k-means, from which the codebooks begin


class RQVAE(nn.Module):
    """Encoder, decoder, and a codebook a level."""

    def __init__(self, width: int, *, hidden: int, dim: int, levels: int, codes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.decoder = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.codebooks = nn.Parameter(torch.randn(levels, codes, dim) / dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the codes `[N, levels]`, of features `[N, width]`."""
        encoded = self.encoder(x)
        rest, loss, codes = encoded, encoded.new_zeros(()), []
        for book in self.codebooks:
            nearest = torch.cdist(rest, book).argmin(dim=1)
            chosen = book[nearest]
            loss = loss + F.mse_loss(chosen, rest.detach()) + COMMITMENT * F.mse_loss(rest, chosen.detach())
            rest = rest - chosen.detach()
            codes.append(nearest)
        quantized = encoded - rest.detach()  # the gradient goes past the codes to the encoder
        return loss + F.mse_loss(self.decoder(quantized), x), torch.stack(codes, dim=1)

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        """Puts every codebook where k-means puts its centres, so that no code lies idle from the start."""
        rest = self.encoder(x)
        for book in self.codebooks:
            book.copy_(rest[torch.randperm(len(rest))[: len(book)]])
            for _ in range(_ROUNDS):
                nearest = torch.cdist(rest, book).argmin(dim=1)
                for code in set(nearest.tolist()):
                    book[code] = rest[nearest == code].mean(dim=0)
            rest = rest - book[torch.cdist(rest, book).argmin(dim=1)]


def semantic_ids(features: Tensor, *, levels: int, codes: int, dim: int = 32) -> Tensor:
    """Codes from 0 of every row of `features`, int64 `[N, levels + 1]`.

    The last one counts the rows that have the same codes before it, so that no two rows are alike.
    """
    net = RQVAE(features.shape[1], hidden=2 * dim, dim=dim, levels=levels, codes=codes)
    net.begin(features)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE)
    for _ in range(STEPS):
        loss, _ = net(features)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found: Tensor = net(features)[1]
    seen: Counter[tuple[int, ...]] = Counter()
    last = []
    for row in found.tolist():
        last.append(seen[tuple(row)])
        seen[tuple(row)] += 1
    return torch.cat([found, torch.tensor(last)[:, None]], dim=1)
