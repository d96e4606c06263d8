"""scripts/check_docs on small trees with one fault each. Run by ctest as house/docs_test."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECK = Path(__file__).resolve().parents[2] / "scripts/check_docs"

GOOD = {
    "README.md": "Run `scripts/demo`, or\n\n```sh\nbuild/attune train run.yaml\n```\n\nSee [it](docs/PAPERS.md#dpo).\n",
    "docs/CONFIG.md": "## optim\n\n| `lr` | x |\n\n## objective\n\n### kind: dpo\n\n| `beta` | x |\n",
    "docs/PAPERS.md": "## `dpo`\n\n`objective.beta`, `--optim.lr=1` in `docs/CONFIG.md`, `attune/x/<name>.h`\n",
    "scripts/demo": "",
    "build/attune": "#!/bin/sh\n! grep bad run.yaml >&2 2>/dev/null && echo '  train     tune a model'\n",
}


class DocsTest(unittest.TestCase):
    def check(self, changes, status, *expected):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**GOOD, **changes}.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            Path(folder, "build/attune").chmod(0o755)
            done = subprocess.run([sys.executable, CHECK, "--root", folder,
                                   "--programs", f"{folder}/build"], capture_output=True, text=True)
        for part in expected:
            self.assertIn(part, done.stdout + done.stderr)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)

    def test_documents_that_name_what_is_there_pass(self):
        self.check({}, 0, "3 documents, with commands")

    def test_a_missing_path_is_named_with_its_line(self):
        self.check({"README.md": "x\n`docs/GONE.md`\n"}, 1, "README.md:2: no docs/GONE.md")

    def test_an_unknown_option_is_named(self):
        self.check({"docs/PAPERS.md": "## `dpo`\n`optim.rate`\n"}, 1, "docs/PAPERS.md:2: no option optim.rate")

    def test_a_dead_link_is_named(self):
        self.check({"README.md": "[x](docs/GONE.md)\n"}, 1, "README.md:1: a link to nothing: docs/GONE.md")

    def test_a_command_in_a_block_must_exist(self):
        self.check({"README.md": "\n```sh\nbuild/attune trian run.yaml\n```\n"}, 1,
                   "README.md:3: no command attune trian")

    def test_a_command_in_a_sentence_must_exist(self):
        self.check({"README.md": "Then `attune trian` it.\n"}, 1, "README.md:1: no command attune trian")

    def test_the_name_attune_in_prose_is_no_command(self):
        self.check({"README.md": "What attune does, attune says.\nattune refuses.\n"}, 0)

    def test_a_missing_script_is_named(self):
        self.check({"README.md": "```\nscripts/gone\n```\n"}, 1, "README.md:2: no scripts/gone")

    def test_a_run_file_that_attune_refuses_is_named_with_its_line(self):
        good = "Run\n\n```yaml\nreference:\n  paths: [a/b, c]\n```\n"
        self.check({"README.md": good}, 0)
        self.check({"README.md": good + "```yaml\nbad: 1\n```\n"}, 1,
                   "README.md:7: attune takes this run file not: bad: 1")

    def test_an_objective_without_a_section_is_named(self):
        self.check({"docs/PAPERS.md": "# Papers\n"}, 1, 'no section "## `dpo`"')


if __name__ == "__main__":
    unittest.main()
