// Rows of one question as JSON: see run.sh.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/replay/abuse_question.h"
#include "bench/replay/budget_question.h"
#include "bench/replay/deadline_question.h"
#include "bench/replay/estimates.h"
#include "bench/replay/load_question.h"
#include "bench/replay/replay_case.h"
#include "bench/replay/speed_question.h"

int main(int argc, char** argv) {
  CLI::App app("rows of one question as JSON");
  std::string question, set_file, profiles_file, token_profiles_file, estimates_file, written_file;
  std::vector<std::string> traces;
  uint64_t first_seed = 1;
  uint64_t seeds = 5;
  size_t requests = 1'000'000;
  size_t rounds = 3;
  app.add_option("--question", question)
      ->required()
      ->check(CLI::IsMember({"abuse", "budget", "deadline", "load", "speed"}));
  app.add_option("--set", set_file, "as bench/routing/prepare_sets.py writes it");
  app.add_option("--profiles", profiles_file, "YAML of expert profiles");
  app.add_option("--token_profiles", token_profiles_file, "YAML of profiles for token steps");
  app.add_option("--estimates", estimates_file, "CSV id,model,q,cost; unset: a ridge");
  app.add_option("--write_estimates", written_file, "writes them as --estimates reads them");
  app.add_option("--trace", traces, "CSV of arrivals, one or more");
  app.add_option("--first_seed", first_seed, "of abuse")->check(CLI::PositiveNumber);
  app.add_option("--seeds", seeds)->check(CLI::PositiveNumber);
  app.add_option("--requests", requests)->check(CLI::PositiveNumber);
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  using penstock::router::LoadReplayCase;
  std::string estimates;
  absl::StatusOr<nlohmann::ordered_json> rows;
  if (question == "speed") {
    rows = penstock::router::SpeedQuestion(requests, rounds);
  } else {
    const auto replay = LoadReplayCase(set_file, profiles_file, estimates_file, traces);
    if (replay.ok()) {
      estimates = replay->estimates;
      if (question == "abuse") {
        rows = penstock::router::AbuseQuestion(*replay, first_seed, seeds);
      } else if (question == "deadline") {
        rows = penstock::router::DeadlineQuestion(*replay, token_profiles_file, seeds);
      } else if (question == "load") {
        rows = penstock::router::LoadQuestion(*replay, seeds);
      } else {
        rows = penstock::router::BudgetQuestion(*replay, seeds);
      }
      if (rows.ok() && !written_file.empty()) {
        const absl::Status written =
            penstock::router::WriteEstimates(replay->outcomes, written_file);
        if (!written.ok()) rows = written;
      }
    } else {
      rows = replay.status();
    }
  }
  if (!rows.ok()) {
    std::fprintf(stderr, "%s\n", std::string(rows.status().message()).c_str());
    return 1;
  }
  const nlohmann::ordered_json report = {{"estimates", estimates}, {"rows", *rows}};
  std::printf("%s\n", report.dump().c_str());
  return 0;
}
