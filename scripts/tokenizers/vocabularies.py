"""Makes small tokenizers of the kinds that models use, each with what that kind has of its own, for proof.ts.

    pip install tokenizers==0.23.3
    python scripts/tokenizers/vocabularies.py FOLDER TOKENS TEXT...

FOLDER gets one NAME.json each, of about TOKENS tokens, trained on the files TEXT.
"""

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace("{1,3}", "")
GPT_4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT = ["<|begin|>", "<|end|>", "<|im_start|>", "<|im_end|>"]
ALPHABET = pre_tokenizers.ByteLevel.alphabet()


def template(tokenizer, single):
    names = [name for name in single.split() if not name.startswith("$")]
    return processors.TemplateProcessing(
        single=single,
        pair=f"{single} $B:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in dict.fromkeys(names)],
    )


def byte_level(texts, tokens, pre_tokenizer, normalizer=None, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train(texts, trainers.BpeTrainer(vocab_size=tokens, special_tokens=CHAT, initial_alphabet=ALPHABET))
    return tokenizer


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def bytes_after(*steps):
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def llama3(texts, tokens):
    tokenizer = byte_level(texts, tokens, bytes_after(split(LLAMA_3)), ignore_merges=True)
    post = template(tokenizer, "<|begin|> $A")
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), post])
    return tokenizer


def qwen2(texts, tokens):
    tokenizer = byte_level(texts, tokens, bytes_after(split(QWEN_2)), normalizers.NFC())
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return tokenizer


def gpt2(texts, tokens):
    tokenizer = byte_level(texts, tokens, pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.post_processor = processors.RobertaProcessing(("<|end|>", 1), ("<|begin|>", 0))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return tokenizer


def gpt4o(texts, tokens):
    return byte_level(texts, tokens, bytes_after(split(GPT_4O)), ignore_merges=True)


def deepseek(texts, tokens):
    steps = [split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK)]
    tokenizer = byte_level(texts, tokens, bytes_after(*steps), normalizers.Sequence([]))
    tokenizer.add_tokens([AddedToken("<|place▁holder|>", special=False, normalized=True)])
    return tokenizer


def sentence_piece(texts, tokens, normalizer, **model):
    """Characters with bytes to fall back on, trained on words and used without them, as those of Llama are."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, **model))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=tokens + len(special), special_tokens=special, limit_alphabet=tokens // 8)
    tokenizer.train(texts, trainer)
    held = json.loads(tokenizer.to_str())
    held["added_tokens"] = [token for token in held["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(held))


def llama2(texts, tokens):
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    tokenizer = sentence_piece(texts, tokens, normalizers.Sequence(steps), fuse_unk=True)
    held = json.loads(tokenizer.to_str())
    held["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(held))
    tokenizer.post_processor = template(tokenizer, "<s> $A")
    fallback = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(fallback)
    return tokenizer


def mistral(texts, tokens):
    """Some bytes have no token, so that the unknown token is seen."""
    tokenizer = sentence_piece(texts, tokens, normalizers.Replace(" ", "▁"), fuse_unk=False)
    held = json.loads(tokenizer.to_str())
    gone = [f"<0x{byte:02X}>" for byte in range(0x80, 0xA0)]
    for name in gone:
        del held["model"]["vocab"][name]
    held["normalizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(held))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.post_processor = template(tokenizer, "<s> $A </s>")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def gemma(texts, tokens):
    tokenizer = sentence_piece(texts, tokens, normalizers.Replace(" ", "▁"), fuse_unk=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = template(tokenizer, "<s> $A")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("▁▁", normalized=False)])
    return tokenizer


def trainer_of(tokens, special):
    return trainers.BpeTrainer(vocab_size=tokens, special_tokens=special, limit_alphabet=tokens // 8)


def metaspace(texts, tokens):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train(texts, trainer_of(tokens, ["<unk>"]))
    return tokenizer


def words(texts, tokens):
    """What classic vocabularies have: every normaliser, words and marks apart, added tokens of every kind."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=False)]
    )
    tokenizer.decoder = decoders.BPEDecoder()
    tokenizer.train(texts, trainers.BpeTrainer(vocab_size=2000, special_tokens=["[UNK]", "[CLS]"], limit_alphabet=300))
    tokenizer.post_processor = processors.BertProcessing(("[CLS]", 1), ("[CLS]", 1))
    kinds = [("left", dict(lstrip=True)), ("right", dict(rstrip=True)), ("word", dict(single_word=True))]
    for name, how in kinds:
        tokenizer.add_tokens([AddedToken(f"<{name}>", normalized=False, **how), AddedToken(name.upper(), **how)])
    tokenizer.add_special_tokens([AddedToken("[BOTH]", lstrip=True, rstrip=True), AddedToken("Ünï", normalized=True)])
    return tokenizer


def punctuation(texts, tokens):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.NFD()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation("contiguous"),
            pre_tokenizers.Split(Regex(r"\p{Lu}"), "merged_with_next"),
            pre_tokenizers.Split(Regex(r"\d"), "merged_with_previous", invert=True),
        ]
    )
    tokenizer.train(texts, trainer_of(tokens, ["<unk>"]))
    return tokenizer


def word_piece(texts, tokens, normalizer):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train(texts, trainers.WordPieceTrainer(vocab_size=tokens, special_tokens=special, limit_alphabet=tokens // 8))
    tokenizer.post_processor = template(tokenizer, "[CLS] $A [SEP]")
    return tokenizer


def bert_cased(texts, tokens):
    return word_piece(texts, tokens, normalizers.BertNormalizer(lowercase=False, handle_chinese_chars=True))


def bert_accents(texts, tokens):
    normalizer = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False)
    return word_piece(texts, tokens, normalizer)


KINDS = [llama3, qwen2, gpt2, gpt4o, deepseek, llama2, mistral, gemma, metaspace, words, punctuation]
KINDS += [bert_cased, bert_accents]

if __name__ == "__main__":
    folder, tokens, *texts = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        kind(texts, int(tokens)).save(f"{folder}/{kind.__name__}.json", pretty=False)
