"""A tokenizer.json in the words of GGUF: byte-level pairs (llama.cpp's type "gpt2"), or word pieces ("bert")."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType

from .errors import CannotConvert
from .layout import TOOL

Json = dict[str, Any]

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_SPLITS = {_LLAMA3: "llama-bpe", _QWEN2: "qwen2"}
_ROLES = ("bos", "eos", "pad", "unk")


def write_vocabulary(writer: GGUFWriter, folder: Path, size: int) -> None:
    """Tokens, merges, special tokens and the chat template. size: rows of the embedding. Raises CannotConvert."""
    tokenizer, settings = _read(folder / "tokenizer.json"), _read_or_empty(folder / "tokenizer_config.json")
    model = tokenizer.get("model") or {}
    if model.get("type") != "BPE" or not _is_byte_level(tokenizer):
        raise CannotConvert(
            f"The tokenizer of {folder} is no byte-level BPE, and other kinds are not converted here; {TOOL}"
        )
    tokens, kinds = _tokens(tokenizer, size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_splitting(tokenizer))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([_merge(merge) for merge in model["merges"]])
    _write_special(writer, tokens, settings, tokenizer, folder)
    if template := _template(folder, settings):
        writer.add_chat_template(template)


def write_word_pieces(writer: GGUFWriter, folder: Path, size: int, copies: int) -> None:
    """BERT's tokens, so many times over: the later copies are reached by their ids alone. Raises CannotConvert."""
    tokenizer = _read(folder / "tokenizer.json")
    model, normalizer = tokenizer.get("model") or {}, tokenizer.get("normalizer") or {}
    if model.get("type") != "WordPiece" or normalizer.get("type") != "BertNormalizer":
        raise CannotConvert(
            f"The tokenizer of {folder} is not BERT's (word pieces), and other kinds are not converted here; {TOOL}"
        )
    tokens, kinds = _tokens(tokenizer, size)
    spelled = [_as_word(token, kind) for token, kind in zip(tokens, kinds, strict=True)]
    for copy in range(1, copies):  # no text has a word with a space in it
        spelled += [f"{token} {copy}" for token in spelled[:size]]
    lowercase = bool(normalizer.get("lowercase", True))
    accents = normalizer.get("strip_accents")
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(spelled)
    writer.add_token_types([*kinds, *[TokenType.UNUSED] * (size * (copies - 1))])
    writer.add_bool("tokenizer.ggml.normalizer.lowercase", lowercase)
    writer.add_bool("tokenizer.ggml.normalizer.strip_accents", lowercase if accents is None else bool(accents))
    _write_borders(writer, tokens, folder)


def _as_word(token: str, kind: TokenType) -> str:
    """As llama.cpp spells it: what begins a word is marked, instead of what goes on with one."""
    if kind != TokenType.NORMAL:
        return token
    return token.removeprefix("##") if token.startswith("##") else f"\N{LOWER ONE EIGHTH BLOCK}{token}"


def _write_borders(writer: GGUFWriter, tokens: list[str], folder: Path) -> None:
    """The tokens around a text, and between two."""
    ids = {token: index for index, token in enumerate(tokens)}
    if missing := next((token for token in ("[CLS]", "[SEP]", "[UNK]") if token not in ids), None):
        raise CannotConvert(f"The tokenizer of {folder} has no token {missing}.")
    writer.add_bos_token_id(ids["[CLS]"])
    writer.add_sep_token_id(ids["[SEP]"])
    writer.add_unk_token_id(ids["[UNK]"])
    if "[PAD]" in ids:
        writer.add_pad_token_id(ids["[PAD]"])
    if "[MASK]" in ids:
        writer.add_mask_token_id(ids["[MASK]"])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_sep_token(False)  # or llama.cpp would put two between a query and a document


def _read(file: Path) -> Json:
    try:
        read: Json = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotConvert(f"{file} cannot be read: {error}.") from error
    return read


def _read_or_empty(file: Path) -> Json:
    return _read(file) if file.is_file() else {}


def _steps(tokenizer: Json) -> list[Json]:
    first = tokenizer.get("pre_tokenizer") or {}
    return list(first["pretokenizers"]) if first.get("type") == "Sequence" else [first]


def _is_byte_level(tokenizer: Json) -> bool:
    return _steps(tokenizer)[-1].get("type") == "ByteLevel"


def _splitting(tokenizer: Json) -> str:
    """llama.cpp's name for how text is cut into words before pairs are merged."""
    *first, last = _steps(tokenizer)
    if last.get("add_prefix_space"):
        raise CannotConvert("The tokenizer puts a space before every text, which GGUF cannot say for its kind.")
    if last.get("use_regex", True):
        if not first:
            return "gpt-2"
        if [step["type"] for step in first] == ["Digits"] and first[0].get("individual_digits"):
            return "smollm"
    elif len(first) == 1 and first[0]["type"] == "Split":
        pattern = first[0]["pattern"].get("Regex", "")
        if pattern in _SPLITS:
            return _SPLITS[pattern]
    raise CannotConvert(
        f"The tokenizer cuts text in a way that is not known here: {json.dumps([*first, last])[:400]}. {TOOL}"
    )


def _tokens(tokenizer: Json, size: int) -> tuple[list[str], list[TokenType]]:
    """Each id's spelling and kind; ids that only pad the embedding are unused."""
    tokens = [f"[PAD{index}]" for index in range(size)]
    kinds = [TokenType.UNUSED] * size
    for token, index in tokenizer["model"]["vocab"].items():
        if index >= size:
            raise CannotConvert(f"The tokenizer has token {index}, and the embedding only {size} rows.")
        tokens[index], kinds[index] = token, TokenType.NORMAL
    for added in tokenizer.get("added_tokens") or ():
        index = added["id"]
        if index >= size:
            raise CannotConvert(f"The tokenizer has token {index}, and the embedding only {size} rows.")
        tokens[index] = added["content"]
        kinds[index] = TokenType.CONTROL if added.get("special") else TokenType.USER_DEFINED
    return tokens, kinds


def _merge(merge: str | list[str]) -> str:
    """A pair; spaces inside cannot occur in byte-level pairs."""
    return merge if isinstance(merge, str) else " ".join(merge)


def _write_special(writer: GGUFWriter, tokens: list[str], settings: Json, tokenizer: Json, folder: Path) -> None:
    ids = {token: index for index, token in enumerate(tokens)}
    named: dict[str, int] = {}
    for role in _ROLES:
        token = settings.get(f"{role}_token")
        token = token.get("content") if isinstance(token, dict) else token
        if token in ids:
            named[role] = ids[token]
    ends = _ends(folder, named.get("eos"))
    if "bos" in named:
        writer.add_bos_token_id(named["bos"])
    if ends:
        writer.add_eos_token_id(ends[0])
    if len(ends) > 1:
        writer.add_eot_token_id(ends[1])
    if "pad" in named:
        writer.add_pad_token_id(named["pad"])
    if "unk" in named:
        writer.add_unk_token_id(named["unk"])
    writer.add_add_bos_token("bos" in named and _adds_bos(tokenizer, tokens[named["bos"]]))
    writer.add_add_eos_token(False)


def _ends(folder: Path, own: int | None) -> list[int]:
    """Ids that end an answer: the tokenizer's first, then those of generation_config.json and config.json."""
    files = [_read_or_empty(folder / name) for name in ("generation_config.json", "config.json")]
    said = [one.get("eos_token_id") for one in (*files, files[-1].get("text_config") or {})]
    flat = [one for each in said for one in (each if isinstance(each, list) else [each])]
    return list(dict.fromkeys(one for one in (own, *flat) if isinstance(one, int)))


def _adds_bos(tokenizer: Json, bos: str) -> bool:
    """Whether the tokenizer itself begins every text with the first token."""
    after = tokenizer.get("post_processor") or {}
    steps = after.get("processors", [after])
    singles = [step for each in steps for step in each.get("single", ())]
    first = singles[0] if singles else {}
    return bool(first.get("SpecialToken", {}).get("id") == bos)


def _template(folder: Path, settings: Json) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    own = settings.get("chat_template")
    return own if isinstance(own, str) else None
