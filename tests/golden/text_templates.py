"""Conversations written by Jinja, as transformers' apply_chat_template has it set up.

The templates are those of the folder of test data (tokenizers/llama-cpp-vocabs/templates), SmolLM2's (out of its GGUF
file), and six well-known ones that stand below.

Makes tests/golden/text_templates.json:
    conversations[]  lists of messages
    templates[]      name; file: its file in the folder of test data, or jinja: its text, or neither (SmolLM2's); bos, eos;
                     plain[] and prompt[]: per conversation the text without and with add_generation_prompt, null where
                     the template raises an exception

Run: python tests/golden/text_templates.py FOLDER_OF_TEMPLATES SMOLLM2_GGUF
"""

import json
import sys
from pathlib import Path

import transformers
from gguf import GGUFReader
from jinja2.exceptions import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

HERE = Path(__file__).parent
S, U, A = "system", "user", "assistant"
CONVERSATIONS = [
    [(U, "Hi")],
    [(S, "Be brief."), (U, "Hi")],
    [(U, "  Why is\nthe sky blue?\n"), (A, "\u00a0Rayleigh \x1f"), (U, "\tSure?\u2003"), (A, " Yes. ")],
    [(S, " Say \"no\" & <b>. \n"), (U, "a"), (A, "b"), (U, "c")],
    [(U, "think"), (A, "<think>\nhm\n</think>\n\nso"), (U, "more"), (A, "x</think>y</think>z")],
    [(S, ""), (U, ""), (A, "")],
    [(S, "only system")],
    [(U, "one"), (U, "two")],
    [(A, "begins")],
    [(U, "a"), (A, "b"), (S, "late"), (U, "c")],
    [(U, "你好 \\n {{ x }} {% y %} '\"'"), (A, "👍")],
]
RAISE = "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
OWN = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "llama2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" + RAISE + "{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama3": "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "mistral": "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}" + RAISE + "{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
}
# What attune writes; the other files of the folder it refuses.
FILES = {
    "deepseek-r1": ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja"),
    "gemma": ("google-gemma-2-2b-it.jinja",),
    "llama3.1": ("meta-llama-Llama-3.1-8B-Instruct.jinja", "meta-llama-Llama-3.3-70B-Instruct.jinja"),
    "mistral-nemo": ("mistralai-Mistral-Nemo-Instruct-2407.jinja",),
    "phi3": ("microsoft-Phi-3.5-mini-instruct.jinja",),
    "qwen2.5": ("Qwen-Qwen2.5-7B-Instruct.jinja",),
}


def written(jinja, conversation, add_generation_prompt):
    messages = [{"role": role, "content": content} for role, content in conversation]
    try:
        texts, _ = render_jinja_template(
            [messages], chat_template=jinja, add_generation_prompt=add_generation_prompt, bos_token="<s>", eos_token="</s>"
        )
    except TemplateError:
        return None
    return texts[0]


def entry(name, template, **more):
    return {"name": name, "bos": "<s>", "eos": "</s>", **more,
            "plain": [written(template, c, False) for c in CONVERSATIONS],
            "prompt": [written(template, c, True) for c in CONVERSATIONS]}


folder, gguf = Path(sys.argv[1]), sys.argv[2]
templates = [entry(name, jinja, jinja=jinja) for name, jinja in OWN.items()]
for name, files in FILES.items():
    templates += [entry(name, (folder / f).read_text(), file=f) for f in files]
templates.append(entry("smollm2", GGUFReader(gguf).fields["tokenizer.chat_template"].contents()))
out = {
    "made_by": f"tests/golden/text_templates.py, transformers {transformers.__version__}",
    "conversations": [[{"role": r, "content": c} for r, c in conversation] for conversation in CONVERSATIONS],
    "templates": templates,
}
(HERE / "text_templates.json").write_text(json.dumps(out, indent=0) + "\n")
for t in templates:
    print(t["name"], [x is not None for x in t["plain"]])
