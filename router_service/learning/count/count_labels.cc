#include "router_service/learning/count/count_labels.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {
namespace {

// Those who gave one answer.
struct Party {
  size_t answer = 0;
  double votes = 0;
  double quality = 0;
};

}  // namespace

SufficientCount AcmLabel(absl::Span<const double> error, double factor) {
  constexpr double kLeast = 1e-12;
  for (size_t m = 0; m + 1 < error.size(); ++m) {
    if (error[m] / std::max(error[m + 1], kLeast) < factor) return {m + 1, true};
  }
  return {error.size(), false};
}

double VoteError(const OutcomeTable& table, absl::Span<const size_t> order, size_t count,
                 size_t row) {
  std::vector<Party> parties;
  for (const size_t expert : order.first(std::min(count, order.size()))) {
    const size_t at = table.At(expert, row);
    const float quality = table.quality[at];
    if (std::isnan(quality)) continue;
    const size_t answer = table.answers[at] != 0 ? table.answers[at] : quality >= 0.5f ? 1 : 0;
    auto party = std::find_if(parties.begin(), parties.end(),
                              [&](const Party& p) { return p.answer == answer; });
    if (party == parties.end()) party = parties.insert(parties.end(), Party{answer, 0, 0});
    party->votes += 1;
    party->quality += quality;
  }
  double most = 0, quality = 0, tied = 0;
  for (const Party& party : parties) most = std::max(most, party.votes);
  for (const Party& party : parties) {
    if (party.votes < most) continue;
    quality += party.quality / party.votes;
    tied += 1;
  }
  return tied > 0 ? 1 - quality / tied : 1;
}

}  // namespace penstock::router
