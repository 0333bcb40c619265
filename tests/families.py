"""Chat formats of model families, written anew from what their publishers say of them.

Each has a small byte-level BPE tokenizer with the family's special tokens. The templates hold what
decides a prefill: where turns begin and end, what is trimmed, what is made of thoughts. Tools and
pictures are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from conftest import SENTENCES

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Spaces go with the word that follows."""
CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""As Llama-3 and Qwen split: line ends go with the punctuation before them."""


@dataclass(frozen=True)
class Family:
    """A format, and what is known of it.

    Attributes:
        name: of the family.
        template: its chat format in Jinja.
        specials: its special tokens; the first is the padding token.
        bos: the token that begins a text, if there is one.
        eos: the token that ends a turn or a text.
        split: how its tokenizer splits text into words.
        opening: what a finished turn has between the generation prompt and the answer.
        thought: what opens a thought and what closes it, white space included.
        system: a system prompt is taken.
        open_prompt: the generation prompt opens a thought, and a finished turn has none.
    """

    name: str
    template: str
    specials: tuple[str, ...]
    eos: str
    bos: str | None = None
    split: str = CL100K
    opening: str = ""
    thought: tuple[str, str] | None = None
    system: bool = True
    open_prompt: bool = False


THINK = ("<think>\n", "\n</think>\n\n")

LLAMA2 = Family(
    name="Llama-2",
    template="""
{%- set sys = namespace(text='') -%}
{%- for m in messages -%}
{%- if m.role == 'system' -%}
{%- set sys.text = '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' -%}
{%- elif m.role == 'user' -%}
{{- bos_token + '[INST] ' + sys.text + m.content.strip() + ' [/INST]' -}}
{%- set sys.text = '' -%}
{%- else -%}
{{- ' ' + m.content.strip() + ' ' + eos_token -}}
{%- endif -%}
{%- endfor -%}""",
    specials=("<unk>", "<s>", "</s>"),
    bos="<s>",
    eos="</s>",
    split=GPT2,
    opening=" ",
)
LLAMA3 = Family(
    name="Llama-3",
    template="""
{%- for m in messages -%}
{%- if loop.first -%}{{- bos_token -}}{%- endif -%}
{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
{%- endif -%}""",
    specials=(
        "<|pad|>",
        "<|begin_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
    ),
    bos="<|begin_of_text|>",
    eos="<|eot_id|>",
)
LLAMA32 = Family(
    name="Llama-3.2",  # says the date
    template="""
{%- set date = date_string if date_string is defined else strftime_now('%d %b %Y') -%}
{{- bos_token + '<|start_header_id|>system<|end_header_id|>\n\n' -}}
{{- 'Cutting Knowledge Date: December 2023\nToday Date: ' + date + '\n\n' -}}
{%- if messages[0].role == 'system' -%}{{- messages[0].content | trim -}}{%- endif -%}
{{- '<|eot_id|>' -}}
{%- for m in messages if m.role != 'system' -%}
{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
{%- endif -%}""",
    specials=LLAMA3.specials,
    bos=LLAMA3.bos,
    eos=LLAMA3.eos,
)
_CHATML_TURNS = """
{%- for m in messages -%}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"""
_CHATML_DEFAULT = """
{%- if messages[0].role != 'system' -%}
{{- '<|im_start|>system\nDEFAULT<|im_end|>\n' -}}
{%- endif -%}"""
QWEN2 = Family(
    name="Qwen2",
    template=_CHATML_DEFAULT.replace("DEFAULT", "You are a helpful assistant.") + _CHATML_TURNS,
    specials=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
)
SMOLLM2 = Family(
    name="SmolLM2",
    template=_CHATML_DEFAULT.replace("DEFAULT", "You are SmolLM.") + _CHATML_TURNS,
    specials=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    bos="<|im_start|>",
    eos="<|im_end|>",
    split=GPT2,
)
ZEPHYR = Family(
    name="Zephyr",
    template="""
{%- for m in messages -%}
{{- '<|' + m.role + '|>\n' + m.content + eos_token + '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%}""",
    specials=("<unk>", "<s>", "</s>"),
    bos="<s>",
    eos="</s>",
    split=GPT2,
)
VICUNA = Family(
    name="Vicuna",
    template="""
{%- if messages[0].role == 'system' -%}
{{- messages[0].content + ' ' -}}
{%- else -%}
{{- 'A chat between a curious user and an artificial intelligence assistant. ' -}}
{%- endif -%}
{%- for m in messages -%}
{%- if m.role == 'user' -%}
{{- 'USER: ' + m.content.strip() + ' ' -}}
{%- elif m.role == 'assistant' -%}
{{- 'ASSISTANT: ' + m.content.strip() + eos_token -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}""",
    specials=("<unk>", "<s>", "</s>"),
    bos="<s>",
    eos="</s>",
    split=GPT2,
    opening=" ",
)
GLM4 = Family(
    name="GLM-4",  # nothing closes a turn but the next one
    template="""
{{- '[gMASK]<sop>' -}}
{%- for m in messages -%}{{- '<|' + m.role + '|>\n' + m.content -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}""",
    specials=("<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"),
    eos="<|endoftext|>",
    opening="\n",
)
PHI3 = Family(
    name="Phi-3",
    template="""
{%- for m in messages -%}
{{- '<|' + m.role + '|>\n' + m.content + '<|end|>\n' -}}
{%- endfor -%}
{{- '<|assistant|>\n' if add_generation_prompt else eos_token -}}""",
    specials=(
        "<unk>",
        "<s>",
        "<|endoftext|>",
        "<|system|>",
        "<|user|>",
        "<|assistant|>",
        "<|end|>",
    ),
    bos="<s>",
    eos="<|endoftext|>",
    split=GPT2,
)
GEMMA = Family(
    name="Gemma",
    template="""
{{- bos_token -}}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{{- raise_exception('System role not supported') -}}{%- endif -%}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' -}}
{{- m.content | trim + '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}""",
    specials=("<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    bos="<bos>",
    eos="<eos>",
    split=GPT2,
    system=False,
)
MISTRAL = Family(
    name="Mistral",
    template="""
{{- bos_token -}}
{%- for m in messages -%}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}
{{- raise_exception('Roles must alternate user/assistant') -}}
{%- endif -%}
{%- if m.role == 'user' -%}
{{- '[INST] ' + m.content + ' [/INST]' -}}
{%- else -%}
{{- ' ' + m.content | trim + eos_token -}}
{%- endif -%}
{%- endfor -%}""",
    specials=("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
    bos="<s>",
    eos="</s>",
    split=GPT2,
    opening=" ",
    system=False,
)
QWEN3 = Family(
    name="Qwen3",  # a finished turn has a thought, if only an empty one
    template="""
{%- for m in messages -%}
{{- '<|im_start|>' + m.role + '\n' -}}
{%- if m.role == 'assistant' -%}
{%- set kept = m.content.split('</think>')[-1].lstrip('\n') -%}
{%- set thought = m.reasoning_content if m.reasoning_content is string else '' -%}
{%- if loop.last or thought -%}
{{- '<think>\n' + thought.strip('\n') + '\n</think>\n\n' -}}
{%- endif -%}
{{- kept -}}
{%- else -%}
{{- m.content -}}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\n\n</think>\n\n' -}}
{%- endif -%}
{%- endif -%}""",
    specials=("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"),
    eos="<|im_end|>",
    opening="<think>\n\n</think>\n\n",
    thought=THINK,
)
R1 = Family(
    name="DeepSeek-R1",  # strips thoughts, and opens one for generation
    template="""
{{- bos_token -}}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{{- m.content -}}
{%- elif m.role == 'user' -%}{{- '<｜User｜>' + m.content -}}
{%- else -%}{{- '<｜Assistant｜>' + m.content.split('</think>')[-1] + eos_token -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<｜Assistant｜><think>\n' -}}{%- endif -%}""",
    specials=(
        "<｜▁pad▁｜>",
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
        "<think>",
        "</think>",
    ),
    bos="<｜begin▁of▁sentence｜>",
    eos="<｜end▁of▁sentence｜>",
    thought=THINK,
    open_prompt=True,
)
HARMONY = Family(
    name="gpt-oss",
    template="""
{{- '<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n' -}}
{{- 'Current date: ' + strftime_now('%Y-%m-%d') + '\n\nReasoning: medium\n\n' -}}
{{- '# Valid channels: analysis, commentary, final.<|end|>' -}}
{%- for m in messages -%}
{%- if m.role == 'system' -%}
{{- '<|start|>developer<|message|># Instructions\n\n' + m.content + '<|end|>' -}}
{%- elif m.role == 'user' -%}
{{- '<|start|>user<|message|>' + m.content + '<|end|>' -}}
{%- else -%}
{%- if loop.last and not add_generation_prompt and m.thinking -%}
{{- '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' -}}
{%- endif -%}
{{- '<|start|>assistant<|channel|>final<|message|>' + m.content -}}
{{- '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}""",
    specials=(
        "<|endoftext|>",
        "<|start|>",
        "<|end|>",
        "<|message|>",
        "<|channel|>",
        "<|return|>",
    ),
    eos="<|return|>",
    opening="<|channel|>final<|message|>",
    thought=(
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
)
GEMMA4 = Family(
    name="Gemma 4",  # strips thoughts; an argument asks for them
    template="""
{{- bos_token -}}
{%- set system = messages[0].content | trim if messages[0].role == 'system' else '' -%}
{%- if system or enable_thinking -%}
{{- '<|turn>system\n' + ('<|think|>' if enable_thinking else '') + system + '<turn|>\n' -}}
{%- endif -%}
{%- for m in messages if m.role != 'system' -%}
{{- '<|turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' -}}
{%- if m.role == 'assistant' and '<|channel>thought' in m.content -%}
{{- m.content.split('<channel|>')[-1] | trim -}}
{%- else -%}
{{- m.content | trim -}}
{%- endif -%}
{{- '<turn|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|turn>model\n' -}}{%- endif -%}""",
    specials=(
        "<pad>",
        "<bos>",
        "<eos>",
        "<|turn>",
        "<turn|>",
        "<|channel>",
        "<channel|>",
        "<|think|>",
    ),
    bos="<bos>",
    eos="<turn|>",
    split=GPT2,
    thought=("<|channel>thought\n", "\n<channel|>"),
)
V32 = Family(
    name="DeepSeek-V3.2",  # a turn without a thought begins where a thought ends
    template="""
{{- bos_token -}}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{{- m.content -}}
{%- elif m.role == 'user' -%}{{- '<｜User｜>' + m.content -}}
{%- else -%}{{- '<｜Assistant｜></think>' + m.content + eos_token -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<｜Assistant｜>' + ('<think>' if thinking else '</think>') -}}
{%- endif -%}""",
    specials=R1.specials,
    bos=R1.bos,
    eos=R1.eos,
    thought=("<think>\n", "\n</think>\n\n"),
)
FAMILIES = (
    LLAMA2, LLAMA3, LLAMA32, QWEN2, ZEPHYR, VICUNA, GLM4, PHI3, GEMMA, MISTRAL, SMOLLM2, QWEN3, R1,
    HARMONY, GEMMA4, V32,
)  # fmt: skip
"""Ten families of 2023 and 2024, and six that came later."""


@cache
def tokenizer_of(family: Family) -> Any:
    """A byte-level BPE tokenizer with the family's special tokens and its format."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(family.split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=520,
        special_tokens=[AddedToken(t, normalized=False, special=True) for t in family.specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = [f" {text}" for text in SENTENCES]
    corpus += [text.replace(". ", ".\n\n").replace(": ", ":\n") + "!\n" for text in SENTENCES]
    tokenizer.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=family.bos,
        eos_token=family.eos,
        pad_token=family.specials[0],
    )
    fast.chat_template = family.template
    return fast
