"""One run of TRL's DPOTrainer for the comparison, training or its pass of reference log-probs alone; writes what it
measured as JSON.

What --mode may hold beside nothing, which is f32 as documented for a CPU otherwise: gradient checkpointing, the
reference computed in each step, padded rows in the order of the file:
    bf16      bf16 autocast over f32 weights: what TRL's documents give
    tuned     no checkpointing, reference log-probs computed once before training, batches of like length
    patch     its fused head scores only completion tokens, as it does on a GPU; no setting of TRL
What --task says: lora, full (every weight), score (only the pass of reference log-probs of the model).

What a run must set so that the sides do the same: use_cpu (else TRL refuses), sequential order, dropout 0 (TRL switches
dropout off by default), warm-up and decay spelled out, the start adapter put into a *new* adapter (an adapter that is
handed over would become the reference itself).

Run through compare.py.
"""

import argparse
import contextlib
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
import trl.trainer.dpo_trainer  # noqa: E402
import trl.trainer.utils  # noqa: E402
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoTokenizer, TrainerCallback  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402


class ReferenceClock:
    """Seconds in the reference's forward passes: with the adapter off, or through the second model."""

    def __init__(self):
        self.seconds = 0.0

    def watch_adapter_switch(self):
        switch = trl.trainer.dpo_trainer.use_adapter

        @contextlib.contextmanager
        def timed(*args, **kwargs):
            start = time.perf_counter()
            with switch(*args, **kwargs) as value:
                yield value
            self.seconds += time.perf_counter() - start

        trl.trainer.dpo_trainer.use_adapter = timed

    def watch_model(self, model):
        def begin(*_):
            self.begun = time.perf_counter()

        def end(*_):
            self.seconds += time.perf_counter() - self.begun

        model.register_forward_pre_hook(begin)
        model.register_forward_hook(end)


class Clock(TrainerCallback):
    """Seconds from the end of one step to the end of the next, how many of them were the reference's, when the first
    step ended, and TRL's log of each step."""

    def __init__(self, reference):
        self.reference = reference
        self.seconds, self.reference_seconds, self.logs = [], [], []
        self.last, self.first_step_ended = 0.0, 0.0

    def on_train_begin(self, args, state, control, **kwargs):
        self.last = time.perf_counter()
        self.reference.seconds = 0.0

    def on_step_end(self, args, state, control, **kwargs):
        now = time.perf_counter()
        self.first_step_ended = self.first_step_ended or time.time()
        self.seconds.append(now - self.last)
        self.reference_seconds.append(self.reference.seconds)
        self.last, self.reference.seconds = now, 0.0

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.logs.append(logs)


class Trainer(DPOTrainer):
    """Also measures the reference pass before training and the tokens that go through the model."""

    precompute_seconds, precompute_ended, computed_tokens, scoring = 0.0, 0.0, 0, False

    def _precompute_ref_logps(self, *args, **kwargs):
        start = time.perf_counter()
        result = super()._precompute_ref_logps(*args, **kwargs)
        Trainer.precompute_seconds += time.perf_counter() - start
        Trainer.precompute_ended = time.time()
        return result

    def compute_ref_log_probs(self, model, inputs):
        if Trainer.scoring:
            Trainer.computed_tokens += inputs["input_ids"].numel()
        return super().compute_ref_log_probs(model, inputs)

    def training_step(self, model, inputs, *args, **kwargs):
        Trainer.computed_tokens += inputs["input_ids"].numel()
        return super().training_step(model, inputs, *args, **kwargs)


def options_of(args):
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
    if "bf16" not in args.mode:
        options["bf16"] = False
    if "tuned" in args.mode:
        options.update(gradient_checkpointing=False, precompute_ref_log_probs=True)
    if args.task == "score":
        options["precompute_ref_log_probs"] = True
    return options


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", default="", help="words of bf16, tuned, patch with commas between")
    parser.add_argument("--task", choices=["lora", "full", "score"], required=True)
    parser.add_argument("--dir", type=Path, required=True, help="what prepare.py made")
    parser.add_argument("--case", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    args.mode = set(filter(None, args.mode.split(",")))
    if args.threads:
        torch.set_num_threads(args.threads)
    if "patch" in args.mode:
        assert hasattr(trl.trainer.utils, "_use_triton"), "this TRL has no such switch; it was found with 1.16"
        trl.trainer.utils._use_triton = lambda device: True
    rows = [json.loads(line) for line in (args.dir / args.case / "pairs.jsonl").open()]
    order = list(range(len(rows)))
    if "tuned" in args.mode:
        order = json.loads((args.dir / args.case / "sizes.json").read_text())["by_length"]
    reference = ReferenceClock()
    reference.watch_adapter_switch()
    clock = Clock(reference)
    Trainer.scoring = args.task == "score"
    lora = LoraConfig(
        r=8, lora_alpha=32, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
    )
    trainer = Trainer(
        model=str(args.dir / "model"),
        args=DPOConfig(**options_of(args)),
        train_dataset=datasets.Dataset.from_list([rows[i] for i in order]),
        processing_class=AutoTokenizer.from_pretrained(args.dir / "model"),
        callbacks=[clock],
        peft_config=lora if args.task == "lora" else None,
    )
    result = {
        "order": order,
        "reference_pass": Trainer.precompute_seconds,
        "threads": torch.get_num_threads(),
        "versions": {p: version(p) for p in ("trl", "torch", "transformers", "peft", "datasets", "accelerate")},
    }
    if args.task == "score":
        scored = trainer.train_dataset
        result |= {
            "logps": [list(x) for x in zip(scored["ref_chosen_logps"], scored["ref_rejected_logps"])],
            "pass_ended": Trainer.precompute_ended,
        }
    else:
        if args.task == "lora":
            start = load_file(args.dir / "adapter_start" / "adapter_model.safetensors")
            set_peft_model_state_dict(trainer.model, start)
            assert all(torch.equal(v, start[k]) for k, v in get_peft_model_state_dict(trainer.model).items())
        elif trainer.ref_model is not None:
            reference.watch_model(trainer.ref_model)
        trainer.train()
        result |= {
            "seconds": clock.seconds,
            "reference_seconds": clock.reference_seconds,
            "first_step_ended": clock.first_step_ended,
            "loss": [float(x["loss"]) for x in clock.logs],
            "grad_norm": [float(x["grad_norm"]) for x in clock.logs],
        }
    result["computed_tokens"] = Trainer.computed_tokens
    args.out.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
