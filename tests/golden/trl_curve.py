"""A 20-step LoRA-DPO run of TRL's DPOTrainer on a tiny model: what a trainer must reproduce.

Makes tests/golden/trl_curve/:
    rows.jsonl        40 synthetic rows: prompt, chosen, rejected (plain text)
    model/            tiny random Llama (tied, grouped heads) with a byte-level BPE tokenizer trained on the rows
    adapter_start/    the PEFT adapter the run begins with (r=4, alpha=16, q_proj and v_proj, random B of std 0.05)
    adapter_end/      the adapter after 20 steps
and tests/golden/trl_curve.json:
    settings          every setting that matters
    rows[]            prompt_ids, chosen_ids, rejected_ids as TRL tokenised them (the end token is in the completions)
    steps[]           per optimizer step, from TRL's own log: loss, grad_norm (before clipping), rewards/chosen,
                      rewards/rejected, rewards/accuracies, rewards/margins, logps/chosen, logps/rejected, logged_lr (as
                      TRL prints) and lr (what the optimizer used in this very step)
    witness[]         loss, grad_norm, lr of the same steps in float64 by the plain loop below, which shares only the
                      model with TRL: it says how far float32 may be off

The run: float32 on CPU, batches of 4 in file order, 2 epochs, no dropout, beta 0.1, AdamW(0.9, 0.999, 1e-8) without
decay, gradient norm clipped to 1, learning rate 5e-3 with 2 warm-up steps (the first step has rate 0) and linear to 0.

TRL's own metrics are means over the batch: rewards are beta (logp - ref_logp), accuracy counts chosen > rejected.

Run: python tests/golden/trl_curve.py
"""

import json
import os
import random
import shutil
import tempfile

SCRATCH = tempfile.TemporaryDirectory(prefix="attune-golden-")
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1", OMP_NUM_THREADS="1", HF_HOME=SCRATCH.name)
import datasets  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402

from tools import HERE, exact64, randomise, token_logps, versions, write_json  # noqa: E402

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
OUT = HERE / "trl_curve"
EOS = "<|endoftext|>"
STEPS, BATCH, BETA, RATE, WARMUP, CLIP = 20, 4, 0.1, 5e-3, 2, 1.0


def make_rows():
    """Short answers preferred over rambling ones; neighbours sometimes share a prompt."""
    rng, rows = random.Random(3), []
    ramble = [
        "Well, that is a question that many people ask.",
        "Let me think about it for a while first.",
        "It depends on how you look at it, as they say.",
        "There is a lot that could be said here.",
    ]
    while len(rows) < 40:
        a, b = rng.randrange(2, 30), rng.randrange(2, 30)
        word, total = rng.choice([("plus", a + b), ("times", a * b), ("minus", a - b)])
        prompt = f"Question: what is {a} {word} {b}?\nAnswer:"
        for _ in range(rng.choice([1, 1, 2])):
            talk = " ".join(rng.sample(ramble, rng.choice([1, 2])))
            rows.append(
                dict(
                    prompt=prompt,
                    chosen=f" {total}." + rng.choice(["", " Next, check it.", " Done!"]),
                    rejected=f" {talk} Perhaps {total + rng.randrange(1, 9)}",
                )
            )
    return rows[:40]


def make_model(rows):
    """The model folder, with a tokenizer of 256 bytes, the end token and about forty merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        (r[k] for r in rows for k in r),
        trainers.BpeTrainer(
            vocab_size=299,
            special_tokens=[EOS],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, pad_token=EOS, model_max_length=512)
    config = LlamaConfig(
        vocab_size=299,
        hidden_size=32,
        intermediate_size=50,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=10000.0),
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config)
    randomise(model, 43)
    model.save_pretrained(OUT / "model")
    fast.save_pretrained(OUT / "model")
    (OUT / "model" / "generation_config.json").unlink(missing_ok=True)
    return fast


def load_base(dtype, attention):
    return LlamaForCausalLM.from_pretrained(OUT / "model", dtype=dtype, attn_implementation=attention)


def save_adapter(model, folder):
    """PEFT's files without the model card, target modules in a fixed order."""
    model.save_pretrained(folder, selected_adapters=["default"])
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["target_modules"].sort()
    config["base_model_name_or_path"] = "trl_curve/model"
    path.write_text(json.dumps(config, indent=2) + "\n")


class Rates(TrainerCallback):
    """The learning rate that each step really uses, and TRL's log of the step."""

    def __init__(self):
        self.rates, self.logs = [], []

    def on_pre_optimizer_step(self, args, state, control, optimizer=None, **kwargs):
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.logs.append(dict(logs))


def run_trl(rows, tokenizer):
    """TRL's run: tokenised rows and one record a step."""
    lora = LoraConfig(r=4, lora_alpha=16, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    args = DPOConfig(
        output_dir=SCRATCH.name,
        use_cpu=True,
        bf16=False,
        seed=1,
        per_device_train_batch_size=BATCH,
        num_train_epochs=2,
        max_length=512,
        logging_steps=1,
        beta=BETA,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        learning_rate=RATE,
        warmup_steps=WARMUP,
        lr_scheduler_type="linear",
        max_grad_norm=CLIP,
        weight_decay=0.0,
        gradient_checkpointing=False,
        train_sampling_strategy="sequential",
    )
    rates = Rates()
    trainer = DPOTrainer(
        model=load_base(torch.float32, "eager"),
        args=args,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[rates],
    )
    generator = torch.Generator().manual_seed(47)
    for name, p in sorted(trainer.model.named_parameters()):
        if "lora_A" in name:
            p.data = 0.2 * torch.randn(p.shape, generator=generator)
        elif "lora_B" in name:
            p.data = 0.05 * torch.randn(p.shape, generator=generator)
    save_adapter(trainer.model, OUT / "adapter_start")
    trainer.train()
    save_adapter(trainer.model, OUT / "adapter_end")
    keys = [
        "loss",
        "grad_norm",
        "rewards/chosen",
        "rewards/rejected",
        "rewards/accuracies",
        "rewards/margins",
        "logps/chosen",
        "logps/rejected",
    ]
    steps = [
        {"step": i + 1, **{k: float(x[k]) for k in keys}, "lr": rate, "logged_lr": x["learning_rate"]}
        for i, (x, rate) in enumerate(zip(rates.logs, rates.rates))
    ]
    assert len(steps) == STEPS
    ids = [{k: r[k] for k in ("prompt_ids", "chosen_ids", "rejected_ids")} for r in trainer.train_dataset]
    return ids, steps, args.optim


def witness(ids):
    """The same run in float64: one unpadded sequence at a time, torch's AdamW, the schedule written out."""
    model = exact64(load_base(torch.float64, "sdpa").eval())
    model = PeftModel.from_pretrained(model, OUT / "adapter_start", is_trainable=True).double().eval()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)

    def logp(row, kind):
        tokens = torch.tensor(row["prompt_ids"] + row[kind])
        logits = model(input_ids=tokens[None], use_cache=False).logits[0]
        return token_logps(logits, tokens)[len(row["prompt_ids"]) - 1 :].sum()

    out = []
    for step in range(STEPS):
        batch = [ids[(step * BATCH + i) % len(ids)] for i in range(BATCH)]
        losses = []
        for row in batch:
            with torch.no_grad(), model.disable_adapter():
                reference = logp(row, "chosen_ids") - logp(row, "rejected_ids")
            z = BETA * (logp(row, "chosen_ids") - logp(row, "rejected_ids") - reference)
            losses.append(torch.log1p(torch.exp(-z)))
        loss = sum(losses) / BATCH
        optimizer.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum(p.grad.pow(2).sum() for p in trained))
        for p in trained:
            p.grad *= min(1.0, CLIP / (norm.item() + 1e-6))
        rate = RATE * (step / WARMUP if step < WARMUP else (STEPS - step) / (STEPS - WARMUP))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        out.append({"step": step + 1, "loss": loss.item(), "grad_norm": norm.item(), "lr": rate})
    end = {
        k: v
        for k, v in PeftModel.from_pretrained(load_base(torch.float32, "eager"), OUT / "adapter_end").named_parameters()
        if "lora_" in k
    }
    worst = max((end[k] - v).abs().max().item() for k, v in model.named_parameters() if "lora_" in k)
    return out, worst


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    rows = make_rows()
    (OUT / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    tokenizer = make_model(rows)
    ids, steps, optimizer = run_trl(rows, tokenizer)
    for row, got in zip(rows, ids):  # prompt and completion tokenised apart give the same ids
        assert tokenizer(row["prompt"])["input_ids"] == got["prompt_ids"]
        assert tokenizer(row["chosen"] + EOS)["input_ids"] == got["chosen_ids"]
        assert tokenizer(row["rejected"] + EOS)["input_ids"] == got["rejected_ids"]
    exact, worst = witness(ids)
    loss_off = max(abs(a["loss"] - b["loss"]) for a, b in zip(steps, exact))
    norm_off = max(abs(a["grad_norm"] / b["grad_norm"] - 1) for a, b in zip(steps, exact))
    for a, b in zip(steps, exact):
        print(
            a["step"],
            *(f"{a[k]:.6f}" for k in ("loss", "grad_norm", "lr", "rewards/accuracies", "rewards/margins")),
            f"{b['loss']:.6f}",
        )
        assert abs(a["lr"] - b["lr"]) < 1e-12
    print(
        f"TRL - float64 witness: loss {loss_off:.1e}, gradient norm {norm_off:.1e} relative, adapter {worst:.1e}"
    )
    assert loss_off < 5e-5 and norm_off < 1e-3
    settings = dict(
        steps=STEPS,
        batch=BATCH,
        epochs=2,
        beta=BETA,
        learning_rate=RATE,
        warmup_steps=WARMUP,
        schedule="linear",
        clip=CLIP,
        betas=[0.9, 0.999],
        eps=1e-8,
        weight_decay=0.0,
        optimizer=optimizer,
        dropout=0.0,
        lora=dict(r=4, alpha=16, target_modules=["q_proj", "v_proj"]),
        order="file order",
        precision="f32",
        loss_off_from_float64=loss_off,
        grad_norm_off_from_float64=norm_off,
        adapter_off_from_float64=worst,
    )
    write_json(
        HERE / "trl_curve.json",
        {
            "versions": versions("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers"),
            "script": "trl_curve.py",
            "settings": settings,
            "rows": ids,
            "steps": steps,
            "witness": exact,
        },
    )


if __name__ == "__main__":
    main()
