// Runs every contender over one prepared set by both protocols: see run.sh.

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "contender.h"
#include "evaluate.h"
#include "nlohmann/json.hpp"
#include "routing_set.h"

namespace penstock::router {
namespace {

constexpr int kFolds = 5;

struct Options {
  std::string set_file;
  float limit = 0;
  bool all_rows = false;
  std::vector<std::string> contenders;
  EvaluationOptions evaluation;
};

bool Chosen(const Options& options, const std::string& name) {
  if (options.contenders.empty()) return true;
  for (const std::string& wanted : options.contenders) {
    if (wanted == name) return true;
  }
  return false;
}

std::vector<std::unique_ptr<Contender>> MakeContenders(const Options& options,
                                                       const RoutingSet& set) {
  std::vector<std::unique_ptr<Contender>> all;
  const auto add = [&](std::vector<std::unique_ptr<Contender>> list) {
    for (std::unique_ptr<Contender>& contender : list) {
      if (Chosen(options, contender->name()) && contender->CanRoute(set)) {
        all.push_back(std::move(contender));
      }
    }
  };
  add(SimpleContenders());
  add(EstimatingContenders(options.evaluation.seed));
  add(CallingContenders(options.evaluation.seed));
  add(OurContenders());
  return all;
}

// Writes a part's outcomes at its rows of the whole.
void Scatter(const Routed& part, const std::vector<size_t>& rows, size_t total, Routed& whole) {
  if (whole.outcomes.settings == 0) {
    whole.outcomes = SettingOutcomes(part.outcomes.settings, total);
    if (!part.gain.empty()) whole.gain.resize(total);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t s = 0; s < part.outcomes.settings; ++s) {
      whole.outcomes.Set(s, rows[i], part.outcomes.quality[s * rows.size() + i],
                         part.outcomes.cost[s * rows.size() + i]);
    }
    if (!part.gain.empty()) whole.gain[rows[i]] = part.gain[i];
  }
}

std::vector<Measured> RunFolds(const RoutingSet& set,
                               const std::vector<std::unique_ptr<Contender>>& contenders,
                               const Levels& levels) {
  std::vector<Measured> measured;
  for (const auto& contender : contenders) measured.push_back({contender->name(), {}, {}});
  for (int fold = 0; fold < kFolds; ++fold) {
    std::vector<size_t> learn, tried;
    for (size_t row = 0; row < set.rows; ++row) {
      (set.fold[row] == fold ? tried : learn).push_back(row);
    }
    if (tried.empty() || learn.empty()) continue;
    const Part part(set.Subset(learn), set.Subset(tried));
    for (size_t i = 0; i < contenders.size(); ++i) {
      Scatter(contenders[i]->Route(part, levels), tried, set.rows, measured[i].routed);
    }
  }
  return measured;
}

void Append(const RoutingSet& set, const std::string& protocol, const Options& options,
            const std::vector<Measured>& measured, nlohmann::json& report) {
  Evaluation evaluation = Evaluate(set, measured, options.evaluation);
  for (nlohmann::json& row : evaluation.rows) {
    row["protocol"] = protocol;
    row["output_limit_tokens"] = options.limit;
    report["rows"].push_back(std::move(row));
  }
  for (nlohmann::json& curve : evaluation.curves) {
    curve["set"] = set.name;
    curve["protocol"] = protocol;
    curve["output_limit_tokens"] = options.limit;
    report["curves"].push_back(std::move(curve));
  }
}

int Run(const Options& options) {
  absl::StatusOr<RoutingSet> read = ReadRoutingSet(options.set_file);
  if (!read.ok()) {
    std::cerr << read.status().message() << "\n";
    return 1;
  }
  RoutingSet set = *std::move(read);
  if (options.limit > 0) {
    if (set.tokens.empty() || set.token_price.empty()) {
      std::cerr << set.name << ": no output tokens to limit\n";
      return 1;
    }
    set.LimitOutput(options.limit);
  }
  std::vector<size_t> learn, tried;
  for (size_t row = 0; row < set.rows; ++row) {
    (set.test[row] && !options.all_rows ? tried : learn).push_back(row);
  }
  const RoutingSet train = set.Subset(learn);
  const std::vector<std::unique_ptr<Contender>> contenders = MakeContenders(options, set);
  const Levels levels = MakeLevels(train);
  nlohmann::json report = {{"rows", nlohmann::json::array()}, {"curves", nlohmann::json::array()}};
  const std::vector<Measured> folds = RunFolds(train, contenders, levels);
  Append(train, "folds", options, folds, report);
  if (!tried.empty()) {
    const Part part(train, set.Subset(tried));
    std::vector<Measured> measured;
    for (size_t i = 0; i < contenders.size(); ++i) {
      std::vector<OperatingPoint> planned;
      if (folds[i].routed.outcomes.settings > 1) planned = folds[i].routed.outcomes.Means({});
      measured.push_back({contenders[i]->name(), contenders[i]->Route(part, levels), planned});
    }
    Append(part.test, "test", options, measured, report);
  }
  std::cout << report.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace penstock::router

int main(int argc, char** argv) {
  penstock::router::Options options;
  CLI::App app("Runs every contender over one prepared set of recorded outcomes");
  app.add_option("--set", options.set_file, "file of prepare_sets.py")->required();
  app.add_option("--limit", options.limit, "output tokens at which every answer is cut; 0: none");
  app.add_option("--contenders", options.contenders, "these only")->delimiter(',');
  app.add_option("--replicates", options.evaluation.replicates, "of the bootstrap");
  app.add_flag("--all_rows", options.all_rows, "folds over all rows, no test part");
  CLI11_PARSE(app, argc, argv);
  return penstock::router::Run(options);
}
