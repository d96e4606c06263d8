"""Does transformers load a folder that attune wrote, and does it give the same numbers?

Run: python tests/golden/check_transformers.py MODEL_DIR EXPECTED.safetensors [TOLERANCE]
EXPECTED holds ids.NAME with logits.NAME or logps.NAME of the model (see check_tools.py). Exit code 0 when all agree
within TOLERANCE (1e-5), and only when no weight was missing, left over or of another shape.
"""

import sys

import torch
from transformers import AutoModelForCausalLM

from check_tools import compare


def main():
    folder, expected = sys.argv[1:3]
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    wrong = {k: v for k, v in report.items() if v}
    if wrong:
        sys.exit(f"DIFFERENT weights: {wrong}")
    compare(model.eval(), expected, float(sys.argv[3]) if len(sys.argv) > 3 else 1e-5)


if __name__ == "__main__":
    main()
