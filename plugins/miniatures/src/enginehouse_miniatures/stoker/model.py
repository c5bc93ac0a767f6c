"""The Llama architecture in the few lines that training needs, with the parameter names of transformers."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from .tokenizer import CONTEXT, VOCABULARY

THETA, EPSILON = 10_000.0, 1e-5


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; with these it has 2.3 million parameters."""

    hidden: int = 192
    layers: int = 5
    heads: int = 6
    inner: int = 448

    @property
    def head_size(self) -> int:
        """Numbers per attention head."""
        return self.hidden // self.heads


class Attention(nn.Module):
    """Causal attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.q_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.k_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.v_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.o_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Mix `x` (rows, length, hidden) along its length where `mask` (rows, 1, length, length) allows it."""
        rows, length, hidden = x.shape
        split = (rows, length, self.shape.heads, self.shape.head_size)
        q = _rotate(self.q_proj(x).view(split).transpose(1, 2), cos, sin)
        k = _rotate(self.k_proj(x).view(split).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(split).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o_proj(mixed.transpose(1, 2).reshape(rows, length, hidden))  # type: ignore[no-any-return]


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class FeedForward(nn.Module):
    """The gated network between attentions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.inner, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.inner, bias=False)
        self.down_proj = nn.Linear(shape.inner, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Each position of `x` (rows, length, hidden) on its own."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One layer: attention, then the feed-forward network, each added to its input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.hidden, eps=EPSILON)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden, eps=EPSILON)
        self.mlp = FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Shapes as in `Attention`."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class Network(nn.Module):
    """The layers between token embedding and tied output."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, eps=EPSILON)
        angles = _angles(shape.head_size)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self._start()

    def _start(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                depth = (2 * len(self.layers)) ** -0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                nn.init.normal_(parameter, std=0.02 if "embed" in name else depth * parameter.shape[1] ** -0.5)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (rows, length, hidden) of `tokens` (rows, length)."""
        length = tokens.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.norm(x)  # type: ignore[no-any-return]


def _angles(head_size: int) -> Tensor:
    speeds = THETA ** -(torch.arange(0, head_size, 2) / head_size)
    angles = torch.outer(torch.arange(CONTEXT), speeds)
    return torch.cat((angles, angles), dim=-1)


def config_of(shape: Shape) -> LlamaConfig:
    """The same network in the words of transformers; tokens 0, 1 and 2 end a text, start and end a turn."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.head_size,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=EPSILON,
        rope_parameters={"rope_theta": THETA, "rope_type": "default"},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )


def save_model(network: Network, shape: Shape, folder: Path) -> None:
    """Write config.json, generation_config.json and model.safetensors (float32)."""
    llama = LlamaForCausalLM(config_of(shape))
    llama.model.load_state_dict(network.state_dict())
    llama.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=[2, 0], pad_token_id=0, do_sample=False
    )
    llama.save_pretrained(str(folder))


def load_weights(network: Network, folder: Path) -> None:
    """Put the weights of a saved model into the network."""
    llama = LlamaForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    network.load_state_dict(llama.model.state_dict())
