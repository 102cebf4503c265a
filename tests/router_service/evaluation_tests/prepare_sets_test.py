"""What bench/routing makes of a recording: `prepare_sets_test.py ROOT`."""

import csv
import gzip
import json
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1))
sys.path.insert(0, str(ROOT / "bench" / "routing"))
import prepare_sets  # noqa: E402


def write_table(path, ids, columns):
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *columns])
        for i, identifier in enumerate(ids):
            writer.writerow([identifier, *(values[i] for values in columns.values())])


class QuestionKey(unittest.TestCase):
    def test_leaves_out_options_case_and_signs(self):
        self.assertEqual(prepare_sets.question_key("What is 2+2?\nA. 3\nB. 4"), "whatis22")

    def test_folds_compatible_characters(self):
        self.assertEqual(prepare_sets.question_key("x\u00b2 \uff21"), "x2a")

    def test_cuts_instructions_that_questions_share(self):
        prompt = "This question refers to the following information.\nThe law of love"
        self.assertEqual(prepare_sets.question_key(prompt), "thelawoflove")

    def test_is_at_most_80_long(self):
        self.assertEqual(len(prepare_sets.question_key("a" * 200)), 80)


class Prepare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        (self.root / "routing").mkdir()
        (self.root / "calibration").mkdir()
        self.ids = [f"t-{i}" for i in range(60)]
        with gzip.open(self.root / "routing" / "t.prompts.jsonl.gz", "wt", encoding="utf-8") as file:
            for i, identifier in enumerate(self.ids):
                file.write(json.dumps({"id": identifier, "dataset": "d", "in_tokens": 3, "prompt": f"ask {i}"}) + "\n")

    def write(self, models, tokens=True):
        routing = self.root / "routing"
        write_table(routing / "t.scores.csv.gz", self.ids, {m: [i % 2 for i in range(60)] for m in models})
        if tokens:
            write_table(routing / "t.out_tokens.csv.gz", self.ids, {m: [10] * 60 for m in models})
        with open(self.root / "calibration" / "model_cards.csv", "w", encoding="utf-8") as file:
            file.write("set,model,kind,joules_per_out_token_h100_b32,usd_out_per_mtok\n")
            for i, model in enumerate(models):
                file.write(f"t,{model},{'base' if i == 2 else 'chat'},{i + 1},\n")

    def test_cost_is_tokens_times_joules_and_base_models_stay_out(self):
        self.write(["a", "b", "c"])
        (prepared,) = prepare_sets.prepare(self.root, None, "t")
        self.assertEqual(prepared["models"], ["a", "b"])
        self.assertEqual(prepared["unit"], "joules")
        self.assertEqual(prepared["rows"][0]["costs"], [10, 20])

    def test_a_pair_without_prices_counts_calls_of_the_better_model(self):
        self.write(["a", "b"], tokens=False)
        (prepared,) = prepare_sets.prepare(self.root, None, "t")
        self.assertEqual(prepared["unit"], "calls")
        self.assertEqual(prepared["rows"][0]["costs"], [0, 1])

    def test_the_test_folder_is_what_is_tried(self):
        self.write(["a", "b"])
        (prepared,) = prepare_sets.prepare(self.root, self.root, "t")
        self.assertEqual([row["test"] for row in prepared["rows"]], [False] * 60 + [True] * 60)

    def test_says_why_a_set_cannot_be_run(self):
        self.write(["a", "b", "c"], tokens=False)
        with self.assertRaises(ValueError):
            prepare_sets.prepare(self.root, None, "t")


if __name__ == "__main__":
    unittest.main()
