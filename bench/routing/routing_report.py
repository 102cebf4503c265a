"""Prepares the sets, runs the bench program on each, and reports its rows: see run.sh."""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from frontier_plot import write_plot  # noqa: E402
from machine import write_report  # noqa: E402
from prepare_sets import prepare, set_names  # noqa: E402

OUTPUT_LIMIT = 512
SKIPPED = 77
COLUMNS = [("contender", "contender"), ("aiq", "AIQ"), ("aiq 95 %", ("aiq_low", "aiq_high")),
           ("gain_over_singles", "gain"), ("gain 95 %", ("gain_over_singles_low", "gain_over_singles_high")),
           ("worst_against_singles", "worst"), ("cost_at_95", "cost@95%"), ("cost_at_100", "cost@100%"),
           ("per_correct", "J/correct@95%"), ("aiq_fixed", "AIQ fixed"),
           ("fixed 95 %", ("aiq_fixed_low", "aiq_fixed_high")), ("apgr", "APGR"), ("apgr_standard_error", "s.e."),
           ("cpt50", "CPT50"), ("cpt80", "CPT80")]
LEGEND = """\
AIQ: mean score (%) of the frontier between the mean costs of the cheapest and the dearest single model; gain: AIQ less
that of the single models mixed at random (paired bootstrap over questions); worst: most that the frontier lies below
theirs; cost@x%: least mean cost that gives x % of the best single model's score, in % of its cost; AIQ fixed: the
settings chosen on the training part, no frontier fitted on the requests tried."""


def text(row, field):
    if isinstance(field, tuple):
        low, high = (row.get(name) for name in field)
        return "" if low is None else f"{low:.2f} .. {high:.2f}"
    value = row.get(field)
    if value is None:
        return "-" if field.startswith("cost_at") else ""
    if isinstance(value, float):
        return f"{value:.3f}" if field.startswith("apgr") else f"{value:.2f}"
    return str(value)


def print_rows(rows):
    fields = []
    for column, name in COLUMNS:
        field = name if isinstance(name, tuple) else column
        if column == "per_correct":
            field = f"{rows[0]['cost_unit']}_per_correct_at_95"
            name = field.replace("_per_correct_at_95", "/correct@95%")
            if rows[0]["cost_unit"] == "calls":
                continue
        shown = column if isinstance(name, tuple) else name
        if any(text(row, field) not in ("", "-") for row in rows):
            fields.append((shown, field))
    lines = [[shown for shown, _ in fields]] + [[text(row, field) for _, field in fields] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(fields))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))


def run_one(job):
    program, set_file, limit, contenders = job
    command = [str(program), "--set", str(set_file), "--limit", str(limit)]
    if contenders:
        command += ["--contenders", contenders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr or f"{program} ended with {done.returncode}")
    return json.loads(done.stdout)


def label(row):
    """The contract's protocol has the set's plain name, the others a suffix."""
    suffix = ":folds" if row["protocol"] == "folds" else ""
    return row["set"] + suffix + (f":{row['output_limit_tokens']:.0f}" if row["output_limit_tokens"] else "")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--test", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--plots", type=pathlib.Path, help="folder for SVG files")
    parser.add_argument("--sets", help="names of sets, all by default")
    parser.add_argument("--contenders")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="only say whether there is anything to run")
    return parser.parse_args()


def folders_missing(options):
    for folder in filter(None, (options.data, options.test)):
        if not (folder / "routing").is_dir():
            return f"skipped: {folder} has no folder routing/"
    if not set_names(options.data):
        return f"skipped: {options.data / 'routing'} holds no set (NAME.prompts.jsonl and NAME.scores.csv)"
    return None


def prepared_files(options, folder):
    """-> [(file, its output can be limited)]."""
    names = options.sets.split(",") if options.sets else set_names(options.data)
    if options.test:
        for name in set(set_names(options.test)) - set(set_names(options.data)):
            print(f"{name}: left out, --data has no requests of it to learn from", file=sys.stderr)
    files = []
    for name in names:
        try:
            if options.test and name not in set_names(options.test):
                raise ValueError("--test has no requests of it")
            for prepared in prepare(options.data, options.test, name):
                path = folder / f"{prepared['set'].replace('/', '-')}.json"
                path.write_text(json.dumps(prepared), encoding="utf-8")
                files.append((path, prepared["token_price"] is not None))
        except ValueError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    return files


def main():
    options = parse()
    reason = folders_missing(options)
    if reason:
        print(reason)
        sys.exit(SKIPPED if options.check else 0)
    if options.check:
        return
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for path, limited in prepared_files(options, pathlib.Path(folder)):
            for limit in (0, OUTPUT_LIMIT) if limited else (0,):
                jobs.append((options.bin / "penstock_bench_routing", path, limit, options.contenders))
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            reports = list(pool.map(run_one, jobs))
    rows = [row for report in reports for row in report["rows"]]
    curves = [curve for report in reports for curve in report["curves"]]
    if options.test:
        # Folds only serve to fix the settings there.
        rows = [row for row in rows if row["protocol"] == "test"]
        curves = [curve for curve in curves if curve["protocol"] == "test"]
    rows.sort(key=lambda row: (row["protocol"] == "folds", row["output_limit_tokens"] > 0))
    for row in rows + curves:
        row["set"] = label(row)
    print(LEGEND)
    for name in dict.fromkeys(row["set"] for row in rows):
        chosen = [row for row in rows if row["set"] == name]
        print(f"\n{name}, {chosen[0]['requests']} requests, cost in {chosen[0]['cost_unit']}")
        print_rows(chosen)
    if options.plots:
        options.plots.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(curve["set"] for curve in curves):
            file = options.plots / f"{name.replace('/', '-').replace(':', '-')}.svg"
            write_plot(file, name, [curve for curve in curves if curve["set"] == name])
    if options.json:
        write_report(options.json, rows, curves=curves)


if __name__ == "__main__":
    main()
