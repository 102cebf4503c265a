#include "router_service/gating/balance/pool_balance.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr double kMillionths = 1e6;

std::string ChosenField(absl::string_view expert) { return absl::StrCat("c ", expert); }
std::string GateField(absl::string_view expert) { return absl::StrCat("p ", expert); }

double At(const StoreFields& counters, const std::string& field) {
  const auto found = counters.find(field);
  return found == counters.end() || found->second < 0 ? 0 : static_cast<double>(found->second);
}

}  // namespace

void BalanceCounts::Add(const v1::Decision& decision) {
  const auto same = [](const std::string& expert, const v1::Candidate& candidate) {
    return expert == candidate.expert();
  };
  if (!std::equal(experts_.begin(), experts_.end(), decision.candidates().begin(),
                  decision.candidates().end(), same)) {
    *this = BalanceCounts();
    for (const v1::Candidate& candidate : decision.candidates()) {
      experts_.push_back(candidate.expert());
    }
    chosen_.assign(experts_.size(), 0);
    gate_.assign(experts_.size(), 0);
  }
  bool counts = false;
  for (const v1::Run& run : decision.runs()) {
    if (run.reason() != "chosen") continue;
    const auto expert = std::find(experts_.begin(), experts_.end(), run.expert());
    if (expert == experts_.end()) continue;
    ++chosen_[static_cast<size_t>(expert - experts_.begin())];
    counts = true;
  }
  if (!counts) return;
  ++requests_;
  for (size_t i = 0; i < experts_.size(); ++i) {
    const double gate = decision.candidates(static_cast<int>(i)).gate();
    if (gate > 0 && gate <= 1) gate_[i] += gate;
  }
}

std::vector<StoreField> BalanceCounts::Fields() const {
  std::vector<StoreField> fields;
  for (size_t i = 0; i < experts_.size(); ++i) {
    const auto gate = static_cast<int64_t>(std::llround(gate_[i] * kMillionths));
    if (chosen_[i] > 0) fields.push_back({ChosenField(experts_[i]), chosen_[i]});
    if (gate > 0) fields.push_back({GateField(experts_[i]), gate});
  }
  return fields;
}

std::optional<Balance> BalanceOf(const StoreFields& counters,
                                 absl::Span<const std::string> experts) {
  Balance balance;
  double all_chosen = 0, all_gate = 0;
  for (const std::string& expert : experts) {
    balance.chosen.push_back(At(counters, ChosenField(expert)));
    balance.gate.push_back(At(counters, GateField(expert)));
    all_chosen += balance.chosen.back();
    all_gate += balance.gate.back();
  }
  if (!(all_chosen > 0 && all_gate > 0)) return std::nullopt;
  for (size_t i = 0; i < experts.size(); ++i) {
    balance.chosen[i] /= all_chosen;
    balance.gate[i] /= all_gate;
    balance.loss += static_cast<double>(experts.size()) * balance.chosen[i] * balance.gate[i];
  }
  return balance;
}

}  // namespace penstock::router
