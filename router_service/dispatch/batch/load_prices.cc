#include "router_service/dispatch/batch/load_prices.h"

#include <algorithm>
#include <limits>

#include "router_service/dispatch/choice/expert_choice.h"

namespace penstock::router {
namespace {

// In right answers' worth: what costs more is asked by nobody, whatever it is right. Without it a price
// of joules would enter the price of load, and that the level at which the budget is met, without end.
constexpr double kMostPrice = 2;

}  // namespace

std::shared_ptr<const LoadPrices> PriceLoad(const RouteRequest& request, absl::Time now) {
  const CongestionPrice* const congestion = request.pool->record->congestion.get();
  if (congestion == nullptr || request.objective != Objective::kQuality ||
      !request.forced.empty()) {
    return nullptr;
  }
  auto prices = std::make_shared<LoadPrices>();
  prices->load = ReadPoolLoad(*request.pool, now);
  prices->price.resize(prices->load.slots.size());
  congestion->Price(prices->load.in_flight, prices->load.slots, absl::MakeSpan(prices->price));
  const double most = kMostPrice * ValueOf(*request.pool);
  for (double& price : prices->price) price = std::min(price, most);
  return prices;
}

void ApplyLoadPrices(const LoadPrices& prices, double value, CandidateColumns& candidates) {
  for (size_t i = 0; i < candidates.size(); ++i) {
    candidates.SetPreference(i, candidates.score()[i] - prices.price[i] / value,
                             candidates.weight()[i]);
  }
}

void RecordLoad(const RouteRequest& request, const LoadPrices& prices,
                const CandidateColumns& candidates, absl::Span<const double> other_prices,
                const SelectionLimits& limits) {
  std::vector<double> worth(candidates.size(), std::numeric_limits<double>::quiet_NaN());
  for (size_t i = 0; i < worth.size(); ++i) {
    if (candidates.excluded()[i] != Exclusion::kNone) continue;
    double priced = limits.price_per_joule * candidates.energy_j()[i];
    if (!other_prices.empty()) priced += other_prices[i];
    worth[i] = limits.value * candidates.score()[i] + prices.price[i] -
               std::min(priced, kMostPrice * limits.value);
  }
  request.pool->record->congestion->Record(worth, prices.load.in_flight, prices.load.slots);
}

}  // namespace penstock::router
