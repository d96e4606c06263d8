"""What the check scripts share: run every sequence of an expected file through a model and compare."""

import sys

import torch
import transformers
from safetensors.torch import load_file

transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)


def compare(model, expected_file, tolerance):
    """Compares with an expected file and prints one line a tensor. Beside every `ids.NAME` (int64 [n]) there may be
    `logits.NAME` [n, V] and `logps.NAME` [n-1] (log-probs of tokens 1 .. n-1); `logits32`, `logits64`, `logps32` and
    `logps64`, as the golden files have them, are compared too.
    Exits with 1 where a value is further away than `tolerance`, or where nothing was compared."""
    expected, compared, worst = load_file(expected_file), 0, 0.0
    for key in sorted(k for k in expected if k.startswith("ids.")):
        ids, name = expected[key], key.removeprefix("ids.")
        with torch.no_grad():
            logits = model(input_ids=ids[None], use_cache=False).logits[0].float()
        logps = logits[:-1].log_softmax(-1).gather(-1, ids[1:, None])[:, 0]
        for kind in ("logits", "logits32", "logits64", "logps", "logps32", "logps64"):
            if f"{kind}.{name}" in expected:
                want, got = expected[f"{kind}.{name}"], (logits if kind.startswith("logits") else logps)
                if want.shape != got.shape:
                    sys.exit(f"DIFFERENT shapes of {kind}.{name}: {list(got.shape)}, expected {list(want.shape)}")
                difference = (got - want).abs().max().item()
                print(f"{kind}.{name}: largest difference {difference:.2e}")
                worst = worst if difference <= worst else difference  # keeps a NaN
                compared += 1
    good = compared > 0 and worst <= tolerance
    print(
        f"{'OK' if good else 'DIFFERENT'}: {compared} tensors, largest difference {worst:.2e}, allowed {tolerance:.0e}"
    )
    sys.exit(0 if good else 1)
