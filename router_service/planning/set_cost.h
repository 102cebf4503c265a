#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "absl/strings/string_view.h"
#include "router_service/planning/expert_set.h"

namespace penstock::router {

// What an expert takes in one application class.
struct ExpertCost {
  double energy_j = 0;   // mean joules of a request
  double latency_s = 0;  // at the promised quantile
};

enum class SetSemantics {
  kEnsemble,  // every member of the set runs
  kPool,      // at most k members run
};
absl::string_view SetSemanticsName(SetSemantics semantics);  // "ensemble", "pool"

struct SetLimits {
  static constexpr double kNone = std::numeric_limits<double>::infinity();
  SetSemantics semantics = SetSemantics::kEnsemble;
  size_t k = 2;  // experts whose values count in a request; in a pool, how many run
  double energy_j = kNone;
  double latency_s = kNone;
  // Combining the answers: joules for each that runs, seconds once and for each member.
  double combine_j = 0;
  double combine_s = 0;
  double combine_each_s = 0;
};

// Joules and seconds of sets. Both never fall when an expert is added, which the search relies on;
// a pool's joules are therefore those of its k dearest members, an upper bound of what it spends.
//   ensemble: E(S) = sum of e_i + combine_j |S|
//   pool:     E(S) = sum of the k largest e_i + combine_j min(k, |S|)
//   both:     D(S) = max t_i + combine_s + combine_each_s |S|;  E = D = 0 for no expert
class SetCost {
 public:
  SetCost(std::vector<ExpertCost> experts, const SetLimits& limits);

  size_t experts() const { return experts_.size(); }
  const SetLimits& limits() const { return limits_; }
  const ExpertCost& of(size_t expert) const { return experts_[expert]; }
  double EnergyJ(const ExpertSet& set) const;
  double LatencyS(const ExpertSet& set) const;
  bool Fits(const ExpertSet& set) const;
  // Joules that an expert adds to an ensemble.
  double Weight(size_t expert) const { return experts_[expert].energy_j + limits_.combine_j; }
  // The largest set that the latency limit leaves to one that has the members of `in`.
  size_t MostMembers(const ExpertSet& in) const;

 private:
  const std::vector<ExpertCost> experts_;
  const SetLimits limits_;
  std::vector<size_t> dearest_first_;
};

}  // namespace penstock::router
