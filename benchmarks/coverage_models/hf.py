"""transformers: the language models that recommenders are made of, with small random configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from coverage_models import Built, Model, histories, ids, spread

ITEMS, LENGTH = 600, 12


class LastLogits(nn.Module):
    """Scores of the whole catalogue at the last position of each history."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=tokens, attention_mask=mask).logits
        return logits[:, -1]


class Sentence(nn.Module):
    """Mean-pooled, normalized embeddings, as sentence encoders give them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return F.normalize((hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9), dim=-1)


class Step(nn.Module):
    """Logits of the next tokens after a prefix."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, mask: Tensor, prefix: Tensor) -> Tensor:
        answer = self.model(input_ids=tokens, attention_mask=mask, decoder_input_ids=prefix, use_cache=False)
        logits: Tensor = answer.logits
        return logits


class Whole(nn.Module):
    """The model's own output object, as it comes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Any:
        return self.model(input_ids=tokens)


def masked(generator: Generator, batch: int, pad: str = "left") -> tuple[Tensor, Tensor]:
    tokens, _ = histories(generator, batch, LENGTH, ITEMS, pad=pad)
    return tokens, (tokens != 0).long()


def with_prefix(generator: Generator, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    return (*masked(generator, batch, "right"), ids(generator, 1, ITEMS, batch, 3))


def unmasked(generator: Generator, batch: int) -> tuple[Tensor]:
    return (ids(generator, 1, ITEMS, batch, LENGTH),)


def built(make: Callable[[], nn.Module], wrap: type[nn.Module], draw: Any) -> Callable[[], Built]:
    def build() -> Built:
        torch.manual_seed(0)
        return Built(module=spread(wrap(make()), scale=0.1), draw=draw)

    return build


def small(**more: Any) -> dict[str, Any]:
    common = {"vocab_size": ITEMS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    return {**common, "intermediate_size": 64, "max_position_embeddings": 64, **more}


def models() -> list[Model]:
    sentence = lambda kind, config, **more: built(  # noqa: E731
        lambda: kind(config(**small(**more))), Sentence, lambda g, n: masked(g, n, "right")
    )
    causal = lambda kind, config: built(lambda: kind(config), LastLogits, masked)  # noqa: E731
    gpt2 = hf.GPT2Config(vocab_size=ITEMS, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    mamba = {"vocab_size": ITEMS, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
    t5 = hf.T5Config(vocab_size=ITEMS, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    found = {
        "BERT4Rec": built(lambda: hf.BertForMaskedLM(hf.BertConfig(**small())), LastLogits, masked),
        "BERT4Rec eager": built(
            lambda: hf.BertForMaskedLM(hf.BertConfig(**small(attn_implementation="eager"))),
            LastLogits,
            masked,
        ),
        "MiniLM": sentence(hf.BertModel, hf.BertConfig),
        "DistilBERT": built(
            lambda: hf.DistilBertModel(hf.DistilBertConfig(vocab_size=ITEMS, dim=32, n_layers=2, n_heads=4)),
            Sentence,
            lambda g, n: masked(g, n, "right"),
        ),
        "RoBERTa": sentence(hf.RobertaModel, hf.RobertaConfig, pad_token_id=0),
        "MPNet": sentence(hf.MPNetModel, hf.MPNetConfig, pad_token_id=0),
        "GPT2Rec": causal(hf.GPT2LMHeadModel, gpt2),
        "GPT2 with cache": built(lambda: hf.GPT2LMHeadModel(gpt2), Whole, unmasked),
        "Llama": causal(hf.LlamaForCausalLM, hf.LlamaConfig(**small(num_key_value_heads=2))),
        "Qwen2": causal(hf.Qwen2ForCausalLM, hf.Qwen2Config(**small(num_key_value_heads=2))),
        "T5": built(lambda: hf.T5ForConditionalGeneration(t5), Step, with_prefix),
        "BART": built(
            lambda: hf.BartForConditionalGeneration(
                hf.BartConfig(
                    vocab_size=ITEMS,
                    d_model=32,
                    encoder_layers=2,
                    decoder_layers=2,
                    encoder_attention_heads=4,
                    decoder_attention_heads=4,
                    encoder_ffn_dim=64,
                    decoder_ffn_dim=64,
                    max_position_embeddings=64,
                    pad_token_id=0,
                )
            ),
            Step,
            with_prefix,
        ),
        "Mamba": causal(hf.MambaForCausalLM, hf.MambaConfig(**mamba, use_cache=False)),
        "Mamba2": causal(
            hf.Mamba2ForCausalLM,
            hf.Mamba2Config(**mamba, num_heads=8, head_dim=8, n_groups=1, chunk_size=8, use_cache=False),
        ),
    }
    return [Model(name=name, build=build) for name, build in found.items()]
