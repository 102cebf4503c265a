#include "router_service/planning/resident_problem.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

namespace penstock::router {
namespace {

// Halvings of the price's interval: 2^-40 of the largest price.
constexpr int kHalvings = 40;
// Prices tried round the last one for a bound; bounds of several prices combine.
constexpr double kPriceFactors[] = {1.0, 0.8, 1.25, 0.5, 2.0};
constexpr double kWhole = 1e-9;

}  // namespace

ResidentProblem::ResidentProblem(const ResidentRequest& request)
    : request_(request),
      values_(request.experts * request.rows),
      joules_(request.experts * request.rows) {
  for (size_t i = 0; i < request.experts; ++i) {
    for (size_t x = 0; x < request.rows; ++x) {
      const double value = request.values[i * request.rows + x];
      const double joules = request.joules[i * request.rows + x];
      values_[x * request.experts + i] = value;
      joules_[x * request.experts + i] = joules;
      // Above this price nobody asks anybody.
      if (joules > 0) highest_price_ = std::max(highest_price_, value / joules);
    }
  }
}

double ResidentProblem::IdleWatts(const ExpertSet& set) const {
  double watts = 0;
  set.ForEach([&](size_t expert) { watts += request_.idle_watts[expert]; });
  return watts;
}

double ResidentProblem::Budget(const ExpertSet& set) const {
  return std::max(0.0, request_.watts - IdleWatts(set)) / request_.requests_per_s;
}

ResidentProblem::Spending ResidentProblem::At(const ExpertSet& set, double price) const {
  const std::vector<size_t> members = set.Members();
  const size_t k = request_.k;
  Spending spending;
  spending.share.assign(experts(), 0.0);
  std::vector<std::pair<double, size_t>> best;  // (net value, expert), largest first
  for (size_t x = 0; x < request_.rows; ++x) {
    const double* value = values_.data() + x * experts();
    const double* joules = joules_.data() + x * experts();
    best.clear();
    for (const size_t i : members) {
      const double net = value[i] - price * joules[i];
      // At no price what is worth nothing is not asked either.
      if (net <= 0 || (best.size() == k && net <= best.back().first)) continue;
      if (best.size() == k) best.pop_back();
      auto at = best.end();
      while (at != best.begin() && (at - 1)->first < net) --at;
      best.insert(at, {net, i});
    }
    for (const auto& [net, i] : best) {
      spending.value += net;
      spending.joules += joules[i];
      spending.share[i] += 1;
    }
  }
  const double per_row = 1.0 / static_cast<double>(request_.rows);
  spending.value *= per_row;
  spending.joules *= per_row;
  for (double& share : spending.share) share *= per_row;
  return spending;
}

double ResidentProblem::BestPrice(const ExpertSet& set, double* value) const {
  const double budget = Budget(set);
  Spending at = At(set, 0);
  *value = at.value;
  if (at.joules <= budget) return 0;
  double low = 0, high = highest_price_, best_price = high;
  *value = high * budget;
  for (int i = 0; i < kHalvings; ++i) {
    const double price = 0.5 * (low + high);
    at = At(set, price);
    if (at.value + price * budget < *value) {
      *value = at.value + price * budget;
      best_price = price;
    }
    (at.joules > budget ? low : high) = price;
  }
  return best_price;
}

double ResidentProblem::Value(const ExpertSet& set) {
  double value = 0;
  BestPrice(set, &value);
  return value;
}

std::vector<SetRow> ResidentProblem::Rows(const SetBox&) const {
  return {{request_.idle_watts, request_.watts}};
}

double ResidentProblem::FractionalValue(const std::vector<double>& share, double price,
                                        std::vector<double>* thresholds) const {
  const double k = static_cast<double>(request_.k);
  std::vector<size_t> members;
  double idle = 0;
  for (size_t i = 0; i < experts(); ++i) {
    idle += share[i] * request_.idle_watts[i];
    if (share[i] > 0) members.push_back(i);
  }
  if (thresholds != nullptr) thresholds->assign(request_.rows, 0.0);
  double sum = 0;
  std::vector<std::pair<double, size_t>> row;
  for (size_t x = 0; x < request_.rows; ++x) {
    row.clear();
    for (const size_t i : members) {
      const double net = values_[x * experts() + i] - price * joules_[x * experts() + i];
      if (net > 0) row.emplace_back(-net, i);
    }
    std::sort(row.begin(), row.end());
    double above = 0;
    for (const auto& [negative, i] : row) {
      const double part = std::min(share[i], k - above);
      sum -= negative * part;
      above += share[i];
      if (above <= k - kWhole) continue;
      if (thresholds != nullptr) (*thresholds)[x] = -negative;
      break;
    }
  }
  return sum / static_cast<double>(request_.rows) +
         price * (request_.watts - idle) / request_.requests_per_s;
}

SetBound ResidentProblem::BoundAt(const std::vector<double>& share) {
  double best = 0, best_price = price_;
  for (size_t i = 0; i < std::size(kPriceFactors); ++i) {
    const double price = std::min(price_ * kPriceFactors[i], highest_price_);
    const double value = FractionalValue(share, price, nullptr);
    if (i > 0 && value >= best) continue;
    best = value;
    best_price = price;
  }
  price_ = best_price;
  std::vector<double> thresholds;
  FractionalValue(share, price_, &thresholds);
  SetBound bound{0, std::vector<double>(experts(), 0.0)};
  for (size_t x = 0; x < request_.rows; ++x) {
    bound.constant += thresholds[x];
    for (size_t i = 0; i < experts(); ++i) {
      const double over =
          values_[x * experts() + i] - price_ * joules_[x * experts() + i] - thresholds[x];
      if (over > 0) bound.slope[i] += over;
    }
  }
  const double per_row = 1.0 / static_cast<double>(request_.rows);
  bound.constant *= per_row * static_cast<double>(request_.k);
  bound.constant += price_ * request_.watts / request_.requests_per_s;
  for (size_t i = 0; i < experts(); ++i) {
    bound.slope[i] =
        bound.slope[i] * per_row - price_ * request_.idle_watts[i] / request_.requests_per_s;
  }
  return bound;
}

bool ResidentProblem::Step(const SetBox& box, ExpertSet& set, double& value) const {
  double now = 0;
  const double price = BestPrice(set, &now);
  // At the present price a set is worth at most its Lagrangian there, which is one pass; only sets
  // that this leaves open get a price of their own.
  const auto better = [&](const ExpertSet& other) {
    if (!Feasible(other)) return false;
    constexpr double kRounding = 1e-12;
    if (At(other, price).value + price * Budget(other) <= value + kRounding) return false;
    double other_value = 0;
    BestPrice(other, &other_value);
    if (other_value <= value + kRounding) return false;
    set = other;
    value = other_value;
    return true;
  };
  const std::vector<size_t> outside = (box.allowed - set).Members();
  const std::vector<size_t> inside = (set - box.in).Members();
  for (const size_t in : outside) {
    if (better(set.With(in))) return true;
  }
  for (const size_t out : inside) {
    if (better(set.Without(out))) return true;
  }
  for (const size_t out : inside) {
    for (const size_t in : outside) {
      if (better(set.Without(out).With(in))) return true;
    }
  }
  return false;
}

ExpertSet ResidentProblem::Improve(const SetBox& box, const ExpertSet& start) {
  ExpertSet set = start;
  double value = Value(set);
  while (Step(box, set, value)) {
  }
  double ignored = 0;
  const double price = BestPrice(set, &ignored);
  if (price > 0) price_ = price;
  return set;
}

}  // namespace penstock::router
