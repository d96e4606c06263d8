"""One training run of TRL's DPOTrainer for the comparison; writes what it measured as JSON.

Modes, all on the rows, order, batch, adapter and hyper-parameters of the comparison:
    default   what TRL's documents give on a CPU: bf16 autocast over f32 weights, gradient checkpointing, the reference
              computed in each step, padded rows
    f32       the same with bf16=False
    tuned     the best found by hand: f32, no checkpointing, reference log-probs computed once before training, and one
              patch that is no setting of TRL: its fused head scores only completion tokens, as it does on a GPU

What a run must set so that the sides do the same: use_cpu (else TRL refuses), sequential order, dropout 0 (TRL switches
dropout off by default), warm-up and decay spelled out, the start adapter put into a *new* adapter (an adapter that is
handed over would become the reference itself).

Run through compare.py.
"""

import argparse
import json
import os
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

SCRATCH = tempfile.TemporaryDirectory(prefix="attune-bench-")
os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=SCRATCH.name, HF_DATASETS_DISABLE_PROGRESS_BARS="1", TQDM_DISABLE="1")
import datasets  # noqa: E402
import torch  # noqa: E402
import trl.trainer.utils  # noqa: E402
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoTokenizer, TrainerCallback  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402


class Clock(TrainerCallback):
    """Seconds from the end of one step to the end of the next, and TRL's log of each step."""

    def __init__(self):
        self.seconds, self.logs, self.last = [], [], 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        self.last = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.logs.append(logs)


class Trainer(DPOTrainer):
    """Also measures the reference pass before training and the share of padding."""

    precompute_seconds, tokens, padded = 0.0, 0, 0

    def _precompute_ref_logps(self, *args, **kwargs):
        start = time.perf_counter()
        result = super()._precompute_ref_logps(*args, **kwargs)
        Trainer.precompute_seconds += time.perf_counter() - start
        return result

    def training_step(self, model, inputs, *args, **kwargs):
        Trainer.tokens += int(inputs["attention_mask"].sum())
        Trainer.padded += inputs["input_ids"].numel()
        return super().training_step(model, inputs, *args, **kwargs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["default", "f32", "tuned"], required=True)
    parser.add_argument("--dir", type=Path, required=True, help="what prepare.py made")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    s = args.settings
    options = dict(
        output_dir=SCRATCH.name,
        use_cpu=True,
        per_device_train_batch_size=s["batch"],
        max_steps=s["steps"],
        max_length=s["max_tokens"],
        learning_rate=s["lr"],
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=0.0,
        max_grad_norm=s["max_grad_norm"],
        beta=s["beta"],
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        train_sampling_strategy="sequential",
        model_init_kwargs={"dtype": "float32"},
    )
    if args.mode != "default":
        options["bf16"] = False
    if args.mode == "tuned":
        options.update(gradient_checkpointing=False, precompute_ref_log_probs=True)
        assert hasattr(trl.trainer.utils, "_use_triton"), "this TRL has no such switch; tuned was found with 1.16"
        trl.trainer.utils._use_triton = lambda device: True
    rows = [json.loads(line) for line in (args.dir / "pairs.jsonl").open()]
    clock = Clock()
    trainer = Trainer(
        model=str(args.dir / "model"),
        args=DPOConfig(**options),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(args.dir / "model"),
        callbacks=[clock],
        peft_config=LoraConfig(
            r=8, lora_alpha=32, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
        ),
    )
    start = load_file(args.dir / "adapter_start" / "adapter_model.safetensors")
    set_peft_model_state_dict(trainer.model, start)
    assert all(torch.equal(v, start[k]) for k, v in get_peft_model_state_dict(trainer.model).items())
    trainer.train()

    args.out.write_text(
        json.dumps(
            {
                "seconds": clock.seconds,
                "before": Trainer.precompute_seconds,
                "loss": [float(x["loss"]) for x in clock.logs],
                "grad_norm": [float(x["grad_norm"]) for x in clock.logs],
                "padding": Trainer.padded / Trainer.tokens,
                "threads": torch.get_num_threads(),
                "versions": {p: version(p) for p in ("trl", "torch", "transformers", "peft", "datasets", "accelerate")},
            }
        )
    )


if __name__ == "__main__":
    main()
