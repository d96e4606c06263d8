"""scripts/check_layers on small trees with one fault each. Run by ctest as house/layers_test."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts/check_layers"

DOCUMENT = """# Rooms and more

## Rooms

| room | zone | may include | what lives there |
|---|---|---|---|
| `core` | plain | - | errors |
| `text` | plain | core | words |
| `train` | tensor | core text | the loop |
| `cli` | plain | core text train | commands |

## Next
"""

GOOD = {
    "docs/ARCHITECTURE.md": DOCUMENT,
    "cmake/AttuneRooms.cmake": "attune_room(core PLAIN)\nattune_room(text PLAIN DEPS core LIBS x)\n"
    "attune_room(train TENSOR DEPS core\n            text LIBS x PCH)\n",
    "attune/core/error.h": "#include <string>\n",
    "attune/text/words.h": '#include "attune/core/error.h"\n',
    "attune/train/options.h": '#include "attune/text/words.h"\n',
    "attune/train/run.cpp": '#include <ATen/core/Tensor.h>\n#include "attune/train/options.h"\n',
    "attune/cli/main.cpp": '#include "attune/train/options.h"\n',
}


class LayersTest(unittest.TestCase):
    def check(self, changes, status, *expected):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**GOOD, **changes}.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            done = subprocess.run([sys.executable, CHECK, folder], capture_output=True, text=True)
        for part in expected:
            self.assertIn(part, done.stdout + done.stderr)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)

    def test_a_tree_that_keeps_the_table_passes(self):
        self.check({}, 0, "4 rooms, 5 files")

    def test_an_include_of_a_room_below_is_named_with_its_line(self):
        self.check({"attune/core/error.h": '#include <string>\n#include "attune/text/words.h"\n'},
                   1, "attune/core/error.h:2: core must not include attune/text/words.h")

    def test_torch_behind_another_header_is_found(self):
        self.check({"attune/train/options.h": '#include "attune/train/deep.h"\n',
                    "attune/train/deep.h": "#include <c10/core/Device.h>\n"},
                   1, "attune/cli/main.cpp: plain, but reaches torch through attune/train/options.h"
                      " -> attune/train/deep.h -> c10/core/Device.h")

    def test_tests_of_plain_rooms_are_plain(self):
        self.check({"tests/text/words_test.cpp": "#include <torch/csrc/x.h>\n"},
                   1, "tests/text/words_test.cpp: plain, but reaches torch")

    def test_umbrella_headers_are_refused_everywhere(self):
        self.check({"tests/train/run_test.cpp": "#include <torch/torch.h>\n"},
                   1, "tests/train/run_test.cpp:1: <torch/torch.h>")

    def test_a_folder_without_a_row_is_refused(self):
        self.check({"attune/extra/new.cpp": "\n"}, 1, "attune/extra: this folder has no row")

    def test_a_row_without_a_folder_is_refused(self):
        table = DOCUMENT.replace("| `train`", "| `nn` | tensor | core | layers |\n| `train`")
        self.check({"docs/ARCHITECTURE.md": table}, 1, "room nn has no folder attune/nn")

    def test_a_plain_room_on_a_tensor_room_is_refused(self):
        table = DOCUMENT.replace("| `text` | plain", "| `text` | tensor")
        table = table.replace("| `train` | tensor", "| `train` | plain")
        self.check({"docs/ARCHITECTURE.md": table}, 1, "plain room train uses tensor room text")

    def test_cmake_must_say_the_same(self):
        self.check({"cmake/AttuneRooms.cmake": "attune_room(text TENSOR)\n"}, 1,
                   "cmake/AttuneRooms.cmake:1: text is tensor here",
                   "cmake/AttuneRooms.cmake:1: text links []")

    def test_an_include_of_no_file_is_refused(self):
        self.check({"attune/cli/main.cpp": '#include "attune/core/missing.h"\n'},
                   1, "attune/cli/main.cpp:1: no file attune/core/missing.h")


if __name__ == "__main__":
    unittest.main()
