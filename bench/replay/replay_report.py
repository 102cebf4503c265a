"""Prepares sets, runs the bench program on them and reports its rows: see run.sh."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "routing")]
from machine import print_table, write_report  # noqa: E402
import prepare_sets  # noqa: E402
import token_profiles  # noqa: E402

SETS = ("mmlupro", "zeroeval")


def write_profiles(path, data, prepared):
    """Seconds and joules of a token as the model cards of the data tell them."""
    cards = prepare_sets.read_cards(data)
    with open(path, "w", encoding="utf-8") as file:
        file.write("experts:\n")
        for model, joules in zip(prepared["models"], prepared["token_price"]):
            seconds = float(cards[(prepared["set"], model)]["median_itl_ms_h100_b32"]) / 1e3
            file.write(f"  - {{name: {json.dumps(model)}, joules_per_token: {joules:.6g}, "
                       f"seconds_per_token: {seconds:.6g}}}\n")


def run(program, *arguments):
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr or done.returncode)
    return json.loads(done.stdout)


def summary(rows):
    """Mean and worst of each question, unit and set, in percent."""
    groups = {}
    for row in rows:
        if not row["question"].startswith("budget"):
            continue
        key = (row["question"], row["contender"], row["unit"], row["set"], row["start_price_factor"], row["rate"],
               row["hard"])
        groups.setdefault(key, []).append(row)
    lines = []
    for key, members in groups.items():
        def worst(name):
            return 100 * max(m[name] for m in members)

        def mean(name):
            return 100 * sum(m[name] for m in members) / len(members)

        gains = [m["gain_share"] for m in members if m["gain_share"] is not None]
        deviation = "deviation_worst_requests" if key[2] == "request" else "deviation_worst_s"
        lines.append({
            "question": key[0], "contender": key[1], "unit": key[2], "set": key[3], "start x": f"{key[4]:.3g}",
            "rate x": key[5], "hard": key[6], "spend mean": mean("spend_error"), "worst": worst("spend_error"),
            "window mean": mean("window_error_mean"), "window worst": worst("window_error_worst"),
            "dev": max(m[deviation] for m in members), "hindsight mean": mean("share_of_hindsight"),
            "least": 100 * min(m["share_of_hindsight"] for m in members),
            "predicted least": 100 * min(m["share_of_hindsight_predicted"] for m in members),
            "gain": 100 * sum(gains) / len(gains) if gains else "", "refused": mean("refused_share")})
    return lines


def print_summary(lines):
    columns = list(lines[0])
    print_table([{c: f"{line[c]:.2f}" if isinstance(line[c], float) else line[c] for c in columns}
                 for line in lines], columns)


def abuse_summary(rows):
    """By set, budget and attack: what attackers took and what was left to the others, over traces and seeds."""
    groups = {}
    for row in rows:
        if row["question"] == "abuse":
            key = (row["set"], row["attack"], row["budget_share"], row["bound_tenants"])
            groups.setdefault(key, []).append(row)
    lines = []
    for key in sorted(groups, key=lambda k: (k[0], k[1] == "dear prompts", k[1] != "none", k[1:])):
        members = groups[key]

        def mean(name):
            return sum(m[name] for m in members) / len(members)

        lines.append({
            "set": key[0], "attack": key[1], "budget": f"{100 * key[2]:.0f} %", "bound": key[3],
            "x budget mean": mean("marked_of_budget"), "most": max(m["marked_of_budget_most"] for m in members),
            "their points": mean("marked_quality_points"), "honest kept %": 100 * mean("honest_kept"),
            "least run": 100 * min(m["honest_kept"] for m in members),
            "honest points": mean("honest_quality_points"),
            "worst run": min(m["honest_quality_points"] for m in members),
            "dear share +": mean("dear_share_shift_points"), "theirs +": mean("dear_share_marked_shift_points"),
            "spent": mean("spent_of_budget")})
    return lines


def deadline_summary(rows):
    """By set, trace and promise, over seeds: the mean, and the least where a bar is on the least."""
    groups = {}
    for row in rows:
        if row["question"] == "deadline":
            groups.setdefault((row["set"], row["trace"], row["promise"]), []).append(row)
    lines = []
    for (name, trace, promise), members in groups.items():
        def values(field):
            return [100 * m[field] for m in members if m[field] is not None] or [float("nan")]

        def mean(field):
            return sum(values(field)) / len(values(field))

        def least(field):
            return min(values(field))

        lines.append({
            "set": name, "trace": trace, "promise": promise, "requests": sum(m["requests"] for m in members),
            "coverage": mean("coverage"), "least": least("coverage"),
            "most": max(values("coverage")), "worst expert": least("worst_expert_coverage"),
            "promised": mean("promised_share"), "kept": mean("promised_hit_share"),
            "least kept": least("promised_hit_share"), "near": mean("near_deadline_share"),
            "near kept": mean("near_deadline_hit_share"), "least near kept": least("near_deadline_hit_share"),
            "unpromised": mean("unpromised_share"), "in time": mean("unpromised_hit_share"), "quality": mean("quality"),
            "promised quality": mean("promised_quality")})
    return lines


def load_summary(rows):
    """By set, contender and utilisation."""
    return [{"set": row["set"], "utilisation": row["utilisation"], "contender": row["contender"],
             "window": row["window_run_times"] or "", "quality %": 100 * row["quality"], "p50": row["p50_run_times"],
             "p99": row["p99_run_times"], "busiest": row["busiest_utilisation"],
             "together": row["requests_together"] or ""}
            for row in rows if row["question"] == "load"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--test", type=pathlib.Path)
    parser.add_argument("--estimates", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--question", choices=("budget", "abuse", "deadline", "load", "speed"), action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first_seed", type=int, default=1, help="of abuse")
    options = parser.parse_args()
    questions = options.question or ["budget", "abuse", "deadline", "load", "speed"]
    program = options.bin / "penstock_bench_replay"
    rows, estimates = [], set()
    replayed = [q for q in ("budget", "abuse", "deadline", "load") if q in questions]
    if replayed:
        traces = sorted((options.test or options.data).glob("traces/*.csv*"))
        names = [n for n in prepare_sets.set_names(options.data) if n in SETS]
        if not names or not traces:
            sys.exit(f"{options.data} has none of the sets {', '.join(SETS)}, or no traces")
        with tempfile.TemporaryDirectory() as folder:
            for name in names:
                for prepared in prepare_sets.prepare(options.data, options.test, name):
                    # Without a test folder every row is replayed, on estimates of the other folds.
                    for row in prepared["rows"]:
                        row["test"] = row["test"] and options.test is not None
                    set_file, profiles = pathlib.Path(folder) / "set.json", pathlib.Path(folder) / "profiles.yaml"
                    set_file.write_text(json.dumps(prepared), encoding="utf-8")
                    write_profiles(profiles, options.data, prepared)
                    more = ["--estimates", options.estimates] if options.estimates else []
                    if "deadline" in questions:
                        steps = pathlib.Path(folder) / "token_profiles.yaml"
                        token_profiles.write(steps, options.data, prepare_sets.read_cards(options.data), prepared)
                        more += ["--token_profiles", steps]
                    for question in replayed:
                        report = run(program, "--question", question, "--set", set_file, "--profiles", profiles,
                                     "--seeds", options.seeds, "--first_seed", options.first_seed, *more,
                                     *sum((["--trace", t] for t in traces), []))
                        rows += report["rows"]
                        estimates.add(report["estimates"])
    if "budget" in questions:
        print_summary(summary(rows))
        print(f"Per cent, over traces, budgets and seeds; dev: requests' budgets, or seconds' worth of the watts.\n"
              f"Estimates: {'; '.join(sorted(estimates))}.")
    if "abuse" in questions:
        print_summary(abuse_summary(rows))
        print("x budget: joules a request of the 2 of 20 principals that attack, over the budget's; most: of one of\n"
              "them in one run. dear prompts: they are honest, and ask the dearest quarter of the prompts.")
    if "deadline" in questions:
        print_summary(deadline_summary(rows))
        print("Per cent of requests after 300 s, over seeds. coverage: answered within the q_p predicted; near: of\n"
              "the promised, those with q_p above 0.7 of the deadline; unpromised ones go to the smallest q_p.")
    if "load" in questions:
        print_summary(load_summary(rows))
        print("window, p50 and p99 in mean run times, over seeds. priced: at a target of 0.85.")
    if "speed" in questions:
        speed = run(program, "--question", "speed")["rows"]
        rows += speed
        wall, cpu = speed[0]["requests_per_second_per_core"], speed[0]["requests_per_cpu_second"]
        print(f"{wall:.0f} simulated requests a second of wall time on one core, {cpu:.0f} a second of CPU time, "
              f"{speed[0]['experts']} experts, estimates given; the bound of 200000 by wall time "
              f"{'holds' if wall >= 200000 else 'does NOT hold'}")
        print(f"{speed[1]['requests_per_second_per_core']:.0f} and {speed[1]['requests_per_cpu_second']:.0f} likewise "
              f"of token steps under deadlines")
        if wall < 0.9 * cpu:
            print(f"the core was shared: the run had {100 * wall / cpu:.0f} % of it, and its wall time says little")
    if options.json:
        write_report(options.json, rows, estimates=sorted(estimates))


if __name__ == "__main__":
    main()
