#include "router_service/pacing/price_level.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/container/inlined_vector.h"

namespace penstock::router {
namespace {

// Bisection ends at a relative width of this.
constexpr double kWidth = 1e-3;
constexpr int kMostSteps = 200;
// Quality units a joule: beyond any that decides something, and within kMostSteps doublings.
constexpr double kLowestPrice = 1e-30;
constexpr double kHighestPrice = 1e30;
// What an option can be worth: differences of two stay finite as floats.
constexpr double kMostWorth = 1e30;

float StoredWorth(double worth) {
  return static_cast<float>(std::clamp(worth, -kMostWorth, kMostWorth));
}

size_t Requests(absl::Span<const DecisionTable> tables) {
  size_t requests = 0;
  for (const DecisionTable& table : tables) requests += table.starts_request() ? 1 : 0;
  return std::max<size_t>(requests, 1);
}

}  // namespace

DecisionTable::DecisionTable(double sunk_j, absl::Span<const PricedOption> options, size_t k,
                             double other_price, bool follow_up)
    : sunk_j_(static_cast<float>(sunk_j)),
      other_price_(static_cast<float>(other_price)),
      k_(static_cast<uint8_t>(std::clamp<size_t>(k, 1, 255))),
      follow_up_(follow_up) {
  if (options.empty()) return;
  double floor = std::numeric_limits<double>::infinity();
  for (const PricedOption& option : options) floor = std::min(floor, option.energy_j);
  floor_j_ = static_cast<float>(floor);
  if (k_ == 1) {
    KeepHull(options);
  } else {
    KeepBest(options);
  }
}

void DecisionTable::KeepHull(absl::Span<const PricedOption> options) {
  absl::InlinedVector<PricedOption, 64> sorted(options.begin(), options.end());
  std::sort(sorted.begin(), sorted.end(), [](const PricedOption& a, const PricedOption& b) {
    return a.energy_j != b.energy_j ? a.energy_j < b.energy_j : a.quality > b.quality;
  });
  absl::InlinedVector<PricedOption, 64> hull;
  for (const PricedOption& option : sorted) {
    if (!hull.empty() && option.quality <= hull.back().quality) continue;
    // The middle one of three goes where it lies on or below the line between its neighbours.
    while (hull.size() >= 2) {
      const PricedOption& a = hull[hull.size() - 2];
      const PricedOption& b = hull.back();
      if ((b.quality - a.quality) * (option.energy_j - b.energy_j) >
          (option.quality - b.quality) * (b.energy_j - a.energy_j)) {
        break;
      }
      hull.pop_back();
    }
    hull.push_back(option);
  }
  // A longer hull is thinned evenly; its ends stay.
  const size_t kept = std::min(hull.size(), kMaxOptions);
  for (size_t i = 0; i < kept; ++i) {
    const size_t from = kept == hull.size() ? i : i * (hull.size() - 1) / (kept - 1);
    options_[i] = {StoredWorth(hull[from].quality), static_cast<float>(hull[from].energy_j)};
  }
  size_ = static_cast<uint8_t>(kept);
}

void DecisionTable::KeepBest(absl::Span<const PricedOption> options) {
  absl::InlinedVector<PricedOption, 64> sorted(options.begin(), options.end());
  std::sort(sorted.begin(), sorted.end(), [](const PricedOption& a, const PricedOption& b) {
    return a.quality != b.quality ? a.quality > b.quality : a.energy_j < b.energy_j;
  });
  if (sorted.size() > kMaxOptions) {
    const auto cheapest = std::min_element(
        sorted.begin(), sorted.end(),
        [](const PricedOption& a, const PricedOption& b) { return a.energy_j < b.energy_j; });
    if (cheapest - sorted.begin() >= static_cast<std::ptrdiff_t>(kMaxOptions)) {
      sorted[kMaxOptions - 1] = *cheapest;
    }
    sorted.resize(kMaxOptions);
  }
  for (size_t i = 0; i < sorted.size(); ++i) {
    options_[i] = {StoredWorth(sorted[i].quality), static_cast<float>(sorted[i].energy_j)};
  }
  size_ = static_cast<uint8_t>(sorted.size());
}

double DecisionTable::EnergyAt(double price) const {
  if (size_ == 0) return sunk_j_;
  const double total = price + other_price_;
  if (k_ == 1) {
    // On a hull the next option is better exactly while its slope exceeds the price.
    size_t at = 0;
    while (at + 1 < size_ && options_[at + 1].quality - options_[at].quality >
                                 total * (options_[at + 1].energy_j - options_[at].energy_j)) {
      ++at;
    }
    return sunk_j_ + options_[at].energy_j;
  }
  std::array<bool, kMaxOptions> taken{};
  double energy = sunk_j_;
  for (size_t round = 0; round < std::min<size_t>(k_, size_); ++round) {
    size_t best = kMaxOptions;
    double best_net = round == 0 ? -std::numeric_limits<double>::infinity() : 0;
    for (size_t i = 0; i < size_; ++i) {
      const double net = options_[i].quality - total * options_[i].energy_j;
      if (!taken[i] && net > best_net) {
        best = i;
        best_net = net;
      }
    }
    if (best == kMaxOptions) break;
    taken[best] = true;
    energy += options_[best].energy_j;
  }
  return energy;
}

void PriceLevel::Record(const DecisionTable& table) {
  if (tables_.size() < kWindow) {
    tables_.push_back(table);
  } else {
    tables_[recorded_ % kWindow] = table;
  }
  ++recorded_;
}

double PriceLevel::MeanEnergy(absl::Span<const DecisionTable> tables, double price) {
  double sum = 0;
  for (const DecisionTable& table : tables) sum += table.EnergyAt(price);
  return sum / static_cast<double>(Requests(tables));
}

PriceLevel::Solution PriceLevel::Solve(absl::Span<const DecisionTable> tables, double target_j,
                                       double hint, double margin) {
  Solution solution;
  double floor_sum = 0;
  for (const DecisionTable& table : tables) floor_sum += table.FloorEnergy();
  solution.floor_j = floor_sum / static_cast<double>(Requests(tables));
  const double free_j = MeanEnergy(tables, 0);
  solution.slack = free_j <= target_j;
  if (margin > 0 && free_j > solution.floor_j) {
    target_j = std::min(target_j, free_j - margin * (free_j - solution.floor_j));
  } else if (solution.slack) {
    return solution;
  }
  // A target below the floor is met by no price; the floor itself is, by a finite one. Rounding of
  // the stored floats is well below a millionth.
  const double reachable = std::max(target_j, solution.floor_j * (1 + 1e-6));
  double high = hint > 0 && std::isfinite(hint) ? hint * 1.25 : 1 / std::max(target_j, 1e-12);
  high = std::clamp(high, kLowestPrice, kHighestPrice);
  double low = high;
  for (int i = 0; i < kMostSteps && high < kHighestPrice && MeanEnergy(tables, high) > reachable; ++i) {
    low = high;
    high *= 2;
  }
  if (low == high) {
    low = high / 1.5625;
    for (int i = 0; i < kMostSteps && low > kLowestPrice && MeanEnergy(tables, low) <= reachable;
         ++i) {
      high = low;
      low /= 2;
    }
  }
  // From neighbours by a factor of two some ten steps suffice; prices at the ends of what a double
  // holds have no middle between them.
  for (int i = 0; i < kMostSteps && high > low * (1 + kWidth); ++i) {
    const double middle = std::sqrt(high) * std::sqrt(low);
    (MeanEnergy(tables, middle) <= reachable ? high : low) = middle;
  }
  solution.price = std::min(high, kHighestPrice);
  return solution;
}

}  // namespace penstock::router
