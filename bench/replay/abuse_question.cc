#include "bench/replay/abuse_question.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/replay/attacks.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "router_service/simulation/hindsight.h"
#include "router_service/simulation/simulation.h"

namespace penstock::router {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kShares[] = {0.25, 0.5, 0.75};
constexpr uint32_t kPrincipals = 20;
constexpr uint32_t kMarked = 2;  // the first principals: attackers, or those with dear prompts
// Draws apart from those of the simulation.
constexpr uint64_t kCallerSeeds = 1'000'000;

// What the marked principals send.
struct Way {
  std::string name;
  OutcomeMatrix outcomes;  // [2 rows, experts], the second half as the marked ones' prompts look
  std::vector<uint32_t> marked;  // rows of the first half that the marked ones draw from
};

// What became of one run, by whose request it was.
struct Part {
  size_t requests = 0;
  size_t dear = 0;
  double joules = 0;
  double quality = 0;

  double MeanJoules() const { return joules / static_cast<double>(requests); }
  double MeanQuality() const { return quality / static_cast<double>(requests); }
  double DearShare() const { return static_cast<double>(dear) / static_cast<double>(requests); }
  void Add(const Part& other) {
    requests += other.requests;
    dear += other.dear;
    joules += other.joules;
    quality += other.quality;
  }
};

struct Outcome {
  std::vector<Part> principals{kPrincipals};
  Part marked, honest, all;
  uint64_t digest = 0;
};

size_t Dearest(const OutcomeMatrix& outcomes) {
  size_t dearest = 0;
  for (size_t e = 1; e < outcomes.experts.size(); ++e) {
    if (outcomes.MeanJoules(e) > outcomes.MeanJoules(dearest)) dearest = e;
  }
  return dearest;
}

std::vector<uint32_t> AllRows(const OutcomeMatrix& outcomes) {
  std::vector<uint32_t> rows(outcomes.rows());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// The quarter of the rows that takes most of all experts together.
std::vector<uint32_t> DearestQuarter(const OutcomeMatrix& outcomes) {
  std::vector<double> joules(outcomes.rows());
  for (size_t row = 0; row < outcomes.rows(); ++row) {
    for (const OutcomeMatrix::Cell& cell : outcomes.Row(row)) joules[row] += cell.joules;
  }
  std::vector<uint32_t> rows = AllRows(outcomes);
  std::stable_sort(rows.begin(), rows.end(),
                   [&](uint32_t a, uint32_t b) { return joules[a] > joules[b]; });
  rows.resize(std::max<size_t>(1, rows.size() / 4));
  return rows;
}

std::vector<SimulatedCaller> Callers(const Way& way, size_t requests, uint64_t seed) {
  const auto rows = static_cast<uint32_t>(way.outcomes.rows() / 2);
  std::vector<SimulatedCaller> callers;
  for (size_t i = 0; i < requests; ++i) {
    CounterRandom random(kCallerSeeds + seed, i);
    SimulatedCaller& caller = callers.emplace_back();
    caller.principal = static_cast<uint32_t>(random.Below(kPrincipals));
    caller.row = static_cast<uint32_t>(random.Below(rows));
    if (caller.principal < kMarked) {
      caller.row = rows + way.marked[random.Below(way.marked.size())];
    }
  }
  return callers;
}

absl::StatusOr<Outcome> RunOnce(const ArrivalTrace& trace, const Way& way, double mean,
                                double start_price, size_t dear, bool guarded, uint64_t seed) {
  SimulationOptions options;
  options.seed = seed;
  options.callers = Callers(way, trace.at_s.size(), seed);
  config::v1::Budget& budget = options.budgets.emplace_back();
  budget.set_amount(mean);
  budget.set_bound_tenants(guarded);
  options.pacer.start_price_per_joule = start_price;
  for (size_t e = 0; e < way.outcomes.experts.size(); ++e) {
    options.largest_joules.push_back(way.outcomes.LargestJoules(e));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const SimulationResult result, Simulate(trace, way.outcomes, options));
  Outcome outcome;
  outcome.digest = result.digest;
  for (size_t i = 0; i < result.requests.size(); ++i) {
    const SimulatedRequest& request = result.requests[i];
    Part& part = outcome.principals[options.callers[i].principal];
    ++part.requests;
    if (request.expert == SimulatedRequest::kRefused) continue;
    const auto expert = static_cast<size_t>(request.expert);
    part.dear += expert == dear ? 1 : 0;
    part.joules += request.joules;
    part.quality += way.outcomes.Row(request.row)[expert].quality;
  }
  for (uint32_t p = 0; p < kPrincipals; ++p) {
    (p < kMarked ? outcome.marked : outcome.honest).Add(outcome.principals[p]);
    outcome.all.Add(outcome.principals[p]);
  }
  return outcome;
}

// Of a run, beside the same arrivals without attack and guard.
Json Row(const Outcome& run, const Outcome& before, double mean) {
  double most = 0;
  double least = 1e9;
  for (uint32_t p = 0; p < kPrincipals; ++p) {
    const Part& part = run.principals[p];
    if (part.requests == 0) continue;
    if (p < kMarked) {
      most = std::max(most, part.MeanJoules() / mean);
    } else {
      least = std::min(least, part.MeanJoules() / before.principals[p].MeanJoules());
    }
  }
  return {{"spent_of_budget", run.all.MeanJoules() / mean},
          {"marked_of_budget", run.marked.MeanJoules() / mean},
          {"marked_of_budget_most", most},
          {"marked_quality_points", 100 * (run.marked.MeanQuality() - before.marked.MeanQuality())},
          {"honest_of_budget", run.honest.MeanJoules() / mean},
          {"honest_kept", run.honest.MeanJoules() / before.honest.MeanJoules()},
          {"honest_kept_least", least},
          {"honest_quality_points", 100 * (run.honest.MeanQuality() - before.honest.MeanQuality())},
          {"dear_share", run.all.DearShare()},
          {"dear_share_shift_points", 100 * (run.all.DearShare() - before.all.DearShare())},
          {"dear_share_marked_shift_points",
           100 * (run.marked.DearShare() - before.marked.DearShare())},
          {"digest", absl::StrCat(absl::Hex(run.digest, absl::kZeroPad16))}};
}

std::vector<Way> Ways(const OutcomeMatrix& outcomes, size_t dear, double price) {
  std::vector<Way> ways;
  for (const Attack attack : {Attack::kNone, Attack::kWhiteBox, Attack::kWhiteBoxJoules,
                              Attack::kPaste, Attack::kRandomSuffix}) {
    ways.push_back({AttackName(attack), WithAttackedRows(outcomes, attack, dear, price, 1),
                    AllRows(outcomes)});
  }
  ways.push_back({"dear prompts", WithAttackedRows(outcomes, Attack::kNone, dear, price, 1),
                  DearestQuarter(outcomes)});
  return ways;
}

}  // namespace

absl::StatusOr<Json> AbuseQuestion(const ReplayCase& replay, uint64_t first_seed, uint64_t seeds) {
  const OutcomeMatrix& outcomes = replay.outcomes;
  const size_t dear = Dearest(outcomes);
  Json rows = Json::array();
  for (const NamedTrace& named : replay.traces) {
    for (const double share : kShares) {
      const double mean = share * outcomes.MeanJoules(outcomes.BestSingle());
      const double price = OfflinePrice(outcomes, mean);
      const std::vector<Way> ways = Ways(outcomes, dear, price);
      for (uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
        PENSTOCK_ASSIGN_OR_RETURN(const Outcome calm,
                                  RunOnce(named.trace, ways[0], mean, price, dear, false, seed));
        for (const Way& way : ways) {
          const bool attack = &way != &ways.back();
          PENSTOCK_ASSIGN_OR_RETURN(const Outcome unguarded,
                                    RunOnce(named.trace, way, mean, price, dear, false, seed));
          PENSTOCK_ASSIGN_OR_RETURN(const Outcome guarded,
                                    RunOnce(named.trace, way, mean, price, dear, true, seed));
          for (const Outcome* run : {&unguarded, &guarded}) {
            Json row = {{"question", "abuse"},
                        {"set", replay.set},
                        {"trace", named.name},
                        {"budget_share", share},
                        {"seed", seed},
                        {"attack", way.name},
                        {"bound_tenants", run == &guarded},
                        {"dear_expert", outcomes.experts[dear]},
                        {"best_single", outcomes.experts[outcomes.BestSingle()]}};
            row.update(Row(*run, attack ? calm : unguarded, mean));
            rows.push_back(std::move(row));
          }
        }
      }
    }
  }
  return rows;
}

}  // namespace penstock::router
