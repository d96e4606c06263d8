"""Does peft load an adapter that attune wrote, and does it give the same numbers?

Run: python tests/golden/check_peft.py ADAPTER_DIR MODEL_DIR EXPECTED.safetensors [TOLERANCE]
EXPECTED holds ids.NAME with logits.NAME or logps.NAME of the adapted model (see check_tools.py). Exit code 0 when all
agree within TOLERANCE (1e-5), and only when peft found every weight of the adapter where it looks for it.
"""

import sys
import warnings

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from check_tools import compare


def main():
    adapter, folder, expected = sys.argv[1:4]
    warnings.simplefilter("error")  # peft only warns about weights that are missing
    warnings.filterwarnings("ignore", category=FutureWarning)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, adapter).eval()
    ours, theirs = load_file(f"{adapter}/adapter_model.safetensors"), get_peft_model_state_dict(model)
    if sorted(ours) != sorted(theirs):
        sys.exit(
            f"DIFFERENT names: only in the file {sorted(set(ours) - set(theirs))[:3]}, "
            f"only in peft {sorted(set(theirs) - set(ours))[:3]}"
        )
    compare(model, expected, float(sys.argv[4]) if len(sys.argv) > 4 else 1e-5)


if __name__ == "__main__":
    main()
