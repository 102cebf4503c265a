#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock::router {

// Why an expert could not be chosen. The name goes into Candidate.excluded.
enum class Exclusion : uint8_t {
  kNone,
  kUnhealthy,      // "unhealthy": no replica serves
  kBreaker,        // "breaker open": of every replica that serves
  kLeftOut,        // "left out": its contract differs from the pool's
  kPlan,           // "plan": the class does not admit it
  kTenant,         // "tenant": another tenant's own expert
  kNotForced,      // "not in penstock_experts"
  kLatencyBudget,  // "latency budget"
  kEnergyBudget,   // "energy budget": the request's own cap
  kBudget,         // "budget": a pool's, tenant's or the platform's joules do not cover it
  kLargestAnswer,  // "largest answer": what it may take would pass the tenant's part by too much
  kMinQuality,     // "min quality"
  kNonFinite,      // "non-finite estimate"
};
absl::string_view ExclusionName(Exclusion exclusion);

// One expert of a pool, for one request.
struct SelectionCandidate {
  // What is maximised: P(right), or the gate's probability; TimelyScore of it under a deadline.
  double score = 0;
  double quality = 0;  // P(right)
  double weight = 0;   // gate's probability; the weights of the chosen are these, normalised
  double latency_s = 0;
  double idle_latency_s = 0;
  double energy_j = 0;
  // In: kNone or why it must not run (kUnhealthy, kBreaker, kLeftOut, kPlan). Out: also which limit
  // excludes it alone.
  Exclusion excluded = Exclusion::kNone;
};

// The experts of a pool for one request, a column a figure, [experts] each: a search reads few of
// the figures, and each from end to end.
class CandidateColumns {
 public:
  CandidateColumns() = default;
  // All figures 0, nobody excluded.
  explicit CandidateColumns(size_t experts)
      : experts_(experts), figures_(kFigures * experts), excluded_(experts, Exclusion::kNone) {}

  size_t size() const { return experts_; }
  absl::Span<const double> score() const { return Column(0); }
  absl::Span<const double> quality() const { return Column(1); }
  absl::Span<const double> weight() const { return Column(2); }
  absl::Span<const double> latency_s() const { return Column(3); }
  absl::Span<const double> idle_latency_s() const { return Column(4); }
  absl::Span<const double> energy_j() const { return Column(5); }
  // kNone or why the expert must not run, whatever the limits.
  absl::Span<const Exclusion> excluded() const { return excluded_; }

  SelectionCandidate operator[](size_t i) const {
    const double* figure = figures_.data() + i;
    return {figure[0],
            figure[experts_],
            figure[2 * experts_],
            figure[3 * experts_],
            figure[4 * experts_],
            figure[5 * experts_],
            excluded_[i]};
  }
  void Set(size_t i, const SelectionCandidate& candidate) {
    double* figure = figures_.data() + i;
    figure[0] = candidate.score;
    figure[experts_] = candidate.quality;
    figure[2 * experts_] = candidate.weight;
    figure[3 * experts_] = candidate.latency_s;
    figure[4 * experts_] = candidate.idle_latency_s;
    figure[5 * experts_] = candidate.energy_j;
    excluded_[i] = candidate.excluded;
  }
  void SetPreference(size_t i, double score, double weight) {
    figures_[i] = score;
    figures_[2 * experts_ + i] = weight;
  }
  void Resize(size_t experts) {
    experts_ = experts;
    figures_.resize(kFigures * experts);
    excluded_.resize(experts);
  }

 private:
  static constexpr size_t kFigures = 6;
  absl::Span<const double> Column(size_t figure) const {
    return {figures_.data() + figure * experts_, experts_};
  }

  size_t experts_ = 0;
  std::vector<double> figures_;  // [figure, expert]
  std::vector<Exclusion> excluded_;
};

enum class Objective { kQuality, kEnergy, kLatency };

struct SelectionLimits {
  static constexpr double kNone = std::numeric_limits<double>::infinity();

  size_t max_experts = 1;  // at most Selector::kMaxExperts
  double value = 1;        // of one right answer
  double price_per_joule = 0;
  double latency_budget_s = kNone;  // as asked
  double time_left_s = kNone;       // what is left of it
  double energy_cap_j = kNone;      // of this request
  // Joules that budgets cover. A set that takes more must not run, except the cheapest expert
  // alone.
  double headroom_j = kNone;
  // What the answers of a set may take at most, together, and what an answer of each expert may
  // take: [experts], 0 where it is not known, or empty. Binds as headroom_j does.
  double largest_j = kNone;
  absl::Span<const double> largest_of;
  // [experts], or empty: 1 for those that may run alone whatever headroom_j and largest_j cover.
  absl::Span<const uint8_t> beyond_headroom;
  double min_quality = 0;
  Objective objective = Objective::kQuality;
  // Exactly these run; empty: the selector's choice.
  absl::Span<const uint32_t> forced;
  bool degrade = false;  // the pool's on_infeasible

  double LargestOf(size_t expert) const {
    return expert < largest_of.size() ? largest_of[expert] : 0;
  }
};

// An expert alone, as an infeasible answer names it.
struct SoloOption {
  size_t expert = 0;
  double latency_s = 0;
  double energy_j = 0;
};

enum class SelectionVerdict : uint8_t {
  kChosen,
  kDegraded,       // chosen, less than asked
  kNoExpert,       // nothing healthy and admitted: UNAVAILABLE
  kInfeasible,     // not even on an idle platform: FAILED_PRECONDITION
  kInfeasibleNow,  // queue, or time already gone: DEADLINE_EXCEEDED
};

// What `penstock_degraded` will say. kDegradedNone: nothing was given up.
enum class Degraded : uint8_t { kNone, kBudget, kDeadline, kQuality };
absl::string_view DegradedName(Degraded degraded);  // "", "budget", "deadline", "quality"

struct SelectedExpert {
  size_t expert = 0;
  double weight = 0;
};

struct SelectionResult {
  SelectionVerdict verdict = SelectionVerdict::kNoExpert;
  Degraded degraded = Degraded::kNone;
  std::vector<SelectedExpert> chosen;  // by descending weight, ties by lowest id
  double objective = 0;                // sum of value * score - price * joules
  double quality = 0;    // of the set: its best member's (a combiner promises no more than that)
  double latency_s = 0;  // the slowest's: they run in parallel
  double energy_j = 0;   // sum
  bool exact = true;
  double gap = 0;    // how much better an undiscovered set could be
  size_t nodes = 0;  // of branch and bound
  // Of the admitted ones, whatever the limits; for the message.
  SoloOption cheapest, fastest;

  // As new, but keeps its memory.
  void Clear();
};

// OK for kChosen and kDegraded; else the status for the caller, with the cheapest and the fastest
// option's figures. `names` by expert.
absl::Status SelectionStatus(const SelectionResult& result, const SelectionLimits& limits,
                             absl::Span<const std::string> names);

}  // namespace penstock::router
