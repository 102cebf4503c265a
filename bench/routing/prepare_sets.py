"""Reads recordings (NAME.prompts.jsonl.gz, NAME.scores.csv.gz, ...) into what the bench program takes: one JSON
file a set, with pool, costs, question groups, folds and the part to be tested.

Pool: POOLS where the set stands there, else the models that have a price and are no base models; none with blank
cells. Of a set of two models both.
Cost: a file NAME.*cost*/*usd* as it stands, else joules = output tokens x joules per token of the model's card,
else dollars likewise; of a pair without either, calls of the strong model.
"""

import csv
import gzip
import hashlib
import io
import json
import re
import unicodedata

FOLDS = 5
# Instructions that many questions share, as they look once letters and digits alone are left.
BOILERPLATE = (
    "thisquestionreferstothefollowinginformation",
    "forwhichofthesetwoscenariosdoesthemaincharacterwhousesimemydosomethingclearlymorallywrong"
    "accordingtoordinarymoralstandardsintheusasof2020",
    "youaregivenapythonfunctionandanassertioncontaininganinputtothefunctioncompletetheassertion"
    "withaliteralnounsimplifiedexpressionsnofunctioncallscontainingtheoutputwhenexecutingtheprovided"
    "codeonthegiveninputevenifthefunctionisincorrectorincomplete",
)
# The models of the recording's own tables of reference figures, which our figures are checked against: no two of a
# kind and size, with two base models where no chat model of that kind was recorded.
POOLS = {
    "mmlupro": ("Phi-3-mini-4k-instruct", "Yi-6b-Chat", "Mistral-7B-Instruct-v0.2", "mathstral-7B", "Qwen1.5-7B-Chat",
                "Meta-Llama-3_1-8B-Instruct", "gemma-7b", "Yi-34B", "c4ai-command-r-v01",
                "Mixtral-8x7B-Instruct-v0.1", "Meta-Llama-3_1-70B-Instruct", "Qwen1.5-72B-Chat"),
}
OPTIONS = re.compile(r"\n\(?A[.)] ")


def open_text(path):
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8")
    return open(path, encoding="utf-8")


def find(folder, name):
    """The file `name`, gzipped or not."""
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    return None


def hash_of(text):
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def question_key(prompt):
    """What variants of one question share: the first 80 letters and digits of its stem."""
    options = OPTIONS.search(prompt)
    stem = prompt[: options.start()] if options else prompt
    key = "".join(c for c in unicodedata.normalize("NFKC", stem).lower() if c.isalpha() or c.isdigit())
    for prefix in BOILERPLATE:
        key = key.removeprefix(prefix)
    return key[:80]


def in_inner_test(identifier):
    return hash_of("moe-route-split-v1|inner|" + identifier) % 100 < 20


def read_cells(path, ids):
    """-> {model: [value or None]}, in the order of `ids`; rows that the file lacks are blank."""
    with open_text(path) as file:
        reader = csv.reader(file)
        models = next(reader)[1:]
        cells = {row[0]: row[1:] for row in reader}
    blank = [""] * len(models)
    columns = zip(*(cells.get(identifier, blank) for identifier in ids))
    return {model: [value if value != "" else None for value in column] for model, column in zip(models, columns)}


def numbers(columns):
    return {model: [None if v is None else float(v) for v in values] for model, values in columns.items()}


def read_cards(folder):
    path = find(folder / "calibration", "model_cards.csv")
    if path is None:
        return {}
    with open_text(path) as file:
        return {(row["set"], row["model"]): row for row in csv.DictReader(file)}


class Recording:
    """One set of one folder."""

    def __init__(self, folder, name):
        routing = folder / "routing"
        with open_text(find(routing, f"{name}.prompts.jsonl")) as file:
            self.prompts = [json.loads(line) for line in file]
        self.prompts = [p for p in self.prompts if not p.get("contaminated")]
        ids = [p["id"] for p in self.prompts]
        self.scores = numbers(read_cells(find(routing, f"{name}.scores.csv"), ids))
        tokens, answers = find(routing, f"{name}.out_tokens.csv"), find(routing, f"{name}.answers.csv")
        self.tokens = numbers(read_cells(tokens, ids)) if tokens else {}
        self.answers = read_cells(answers, ids) if answers else {}
        costs = sorted(p for p in routing.glob(f"{name}.*") if re.search(r"cost|usd", p.name[len(name):]))
        self.costs = numbers(read_cells(costs[0], ids)) if costs else {}

    def complete(self, columns, model):
        values = columns.get(model)
        return values is not None and all(v is not None for v in values)


def choose_pool(recording, cards, name):
    """-> (models, unit of cost, cost per output token of each or None)."""
    whole = [m for m in recording.scores if recording.complete(recording.scores, m)]
    if recording.costs:
        pool = [m for m in whole if recording.complete(recording.costs, m)]
        if len(pool) > 1:
            return pool, "usd", None
    with_tokens = [m for m in whole if recording.complete(recording.tokens, m)]
    for field, unit, factor in (("joules_per_out_token_h100_b32", "joules", 1), ("usd_out_per_mtok", "usd", 1e-6)):
        card = {m: cards.get((name, m), {}) for m in with_tokens}
        wanted = POOLS.get(name, [m for m in with_tokens if not card[m].get("kind", "").startswith("base")])
        pool = [m for m in with_tokens if m in wanted and card[m].get(field)]
        if len(pool) > 1:
            return pool, unit, [float(card[m][field]) * factor for m in pool]
    if len(whole) == 2:
        return whole, "calls", None
    raise ValueError("no two models without blank cells have tokens and a price")


def set_names(folder):
    routing = folder / "routing"
    names = {p.name.split(".prompts.jsonl")[0] for p in routing.glob("*.prompts.jsonl*")}
    return sorted(n for n in names if find(routing, f"{n}.scores.csv"))


def rows_of(recording, indices, unit, models, token_price, test):
    """The rows with every cell that the pool needs."""
    out = []
    for i in indices:
        prompt = recording.prompts[i]
        score = [recording.scores[m][i] for m in models]
        tokens = [recording.tokens[m][i] if m in recording.tokens else None for m in models]
        if unit == "calls":
            cost = [0, 1]
        elif token_price is None:
            cost = [recording.costs[m][i] for m in models]
        else:
            cost = [t * price for t, price in zip(tokens, token_price)] if None not in tokens else [None]
        if None in score or None in cost:
            continue
        key = question_key(prompt["prompt"])
        out.append({"id": prompt["id"], "prompt": prompt["prompt"], "in_tokens": prompt.get("in_tokens", 0),
                    "key": key, "fold": hash_of(key) % FOLDS, "test": bool(test(prompt)), "scores": score,
                    "out_tokens": tokens, "costs": cost,
                    "answers": [recording.answers[m][i] if m in recording.answers else None for m in models]})
    return out


def prepare(data, test_folder, name):
    """-> list of sets; ValueError says why there is none."""
    cards = read_cards(data)
    if test_folder:
        cards = {**read_cards(test_folder), **cards}
    train = Recording(data, name)
    models, unit, token_price = choose_pool(train, cards, name)
    if unit == "calls":
        # The better one is the strong one: it comes second.
        models = sorted(models, key=lambda m: sum(train.scores[m]))
    test = Recording(test_folder, name) if test_folder else None
    absent = [m for m in models if test and m not in test.scores]
    if absent:
        raise ValueError(f"--test has no scores of {', '.join(absent)}")
    datasets = sorted({p.get("dataset", name) for p in train.prompts}) if len(models) == 2 else [None]
    sets = []
    for dataset in datasets:
        def chosen(recording):
            return [i for i, p in enumerate(recording.prompts) if dataset in (None, p.get("dataset", name))]

        if test:
            rows = rows_of(train, chosen(train), unit, models, token_price, lambda p: False)
            rows += rows_of(test, chosen(test), unit, models, token_price, lambda p: True)
        else:
            rows = rows_of(train, chosen(train), unit, models, token_price, lambda p: in_inner_test(p["id"]))
        if len({row["test"] for row in rows}) < 2:
            continue  # nothing to learn from, or nothing to try
        groups = {}
        for row in rows:
            row["group"] = groups.setdefault(row["key"], len(groups))
        # Scores of other scales than [0, 1]: as shares of the scale's end, which is told beside.
        scale = max(max(row["scores"]) for row in rows)
        scale = 1 if scale <= 1 else scale
        for row in rows:
            row["scores"] = [s / scale for s in row["scores"]]
        sets.append({"set": name if dataset is None else f"{name}/{dataset}", "models": models, "unit": unit,
                     "token_price": token_price, "score_scale": scale, "rows": rows})
    return sets
