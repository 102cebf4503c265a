#include "router_service/planning/set_relaxation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "router_service/planning/linear_program.h"

namespace penstock::router {
namespace {

// More bounds are tighter together, and slower.
constexpr size_t kMostBounds = 48;
// Above this many experts left open the program would take longer than the nodes it saves; the best
// single bound is used.
constexpr size_t kMostVariables = 96;
// New bounds are taken at a point between the relaxation's and the last one taken: the relaxation's
// own jumps from corner to corner (Ben-Ameur and Neto: Acceleration of cutting-plane and column
// generation algorithms, Networks 49, 2007).
constexpr double kTowardsRelaxation = 0.5;
// Rounds go on while they close this share of what is open.
constexpr double kWorthwhile = 0.01;
constexpr size_t kRoundsInVain = 4;

}  // namespace

double SetRelaxation::Add(const std::vector<double>& share) {
  if (pool_.size() >= kMostBounds) Forget();
  pool_.push_back(problem_.BoundAt(share));
  last_used_.push_back(solves_);
  double value = pool_.back().constant;
  for (size_t i = 0; i < share.size(); ++i) value += share[i] * pool_.back().slope[i];
  return value;
}

void SetRelaxation::Forget() {
  const auto oldest = std::min_element(last_used_.begin(), last_used_.end());
  pool_.erase(pool_.begin() + (oldest - last_used_.begin()));
  last_used_.erase(oldest);
}

double SetRelaxation::Largest(const SetBound& bound, const SetBox& box,
                              const std::vector<SetRow>& rows) {
  double forced = bound.constant, all = 0;
  box.in.ForEach([&](size_t expert) { forced += bound.slope[expert]; });
  std::vector<uint32_t> open;
  (box.allowed - box.in).ForEach([&](size_t expert) {
    if (bound.slope[expert] <= 0) return;
    all += bound.slope[expert];
    open.push_back(static_cast<uint32_t>(expert));
  });
  double least = all;
  std::vector<std::pair<double, uint32_t>> order(open.size());
  for (const SetRow& row : rows) {
    double left = row.limit;
    box.in.ForEach([&](size_t expert) { left -= row.weight[expert]; });
    for (size_t i = 0; i < open.size(); ++i) {
      const double weight = row.weight[open[i]];
      order[i] = {
          weight > 0 ? -bound.slope[open[i]] / weight : -std::numeric_limits<double>::infinity(),
          open[i]};
    }
    std::sort(order.begin(), order.end());
    double sum = 0;
    for (const auto& [ratio, expert] : order) {
      const double weight = row.weight[expert];
      if (weight > left) {
        sum += bound.slope[expert] * std::max(0.0, left) / weight;
        break;
      }
      sum += bound.slope[expert];
      left -= weight;
    }
    least = std::min(least, sum);
  }
  return forced + least;
}

SetRelaxation::Result SetRelaxation::Solve(const SetBox& box) {
  ++solves_;
  const std::vector<SetRow> rows = problem_.Rows(box);
  const std::vector<size_t> open = (box.allowed - box.in).Members();
  Result result;
  result.share.assign(problem_.experts(), 0.0);
  box.in.ForEach([&](size_t expert) { result.share[expert] = 1; });

  size_t single = 0;
  result.value = std::numeric_limits<double>::infinity();
  for (size_t j = 0; j < pool_.size(); ++j) {
    const double value = Largest(pool_[j], box, rows);
    if (value >= result.value) continue;
    result.value = value;
    single = j;
  }
  last_used_[single] = solves_;
  result.bound = pool_[single];
  if (open.empty() || open.size() > kMostVariables) {
    for (const size_t expert : open) result.share[expert] = 0.5;
    return result;
  }

  // Variables: the shares of the open experts, and the value v, from which `base` is taken so that
  // every limit is not below 0:  v - slope_j . s <= constant_j + forced_j - base;  rows;  s <= 1.
  const size_t n = open.size();
  LinearProgram program;
  program.objective.assign(n + 1, 0.0);
  program.objective[n] = 1;
  double base = std::numeric_limits<double>::infinity();
  std::vector<double> constants;
  for (const SetBound& bound : pool_) {
    double constant = bound.constant;
    box.in.ForEach([&](size_t expert) { constant += bound.slope[expert]; });
    // Where slopes may be negative the value of all shares 0 is still reached.
    constants.push_back(constant);
    base = std::min(base, constant);
  }
  for (size_t j = 0; j < pool_.size(); ++j) {
    std::vector<double>& row = program.rows.emplace_back(n + 1);
    for (size_t i = 0; i < n; ++i) row[i] = -pool_[j].slope[open[i]];
    row[n] = 1;
    program.limits.push_back(constants[j] - base);
  }
  for (const SetRow& row : rows) {
    double left = row.limit;
    box.in.ForEach([&](size_t expert) { left -= row.weight[expert]; });
    std::vector<double>& weights = program.rows.emplace_back(n + 1);
    for (size_t i = 0; i < n; ++i) weights[i] = row.weight[open[i]];
    program.limits.push_back(std::max(0.0, left));
  }
  for (size_t i = 0; i < n; ++i) {
    program.rows.emplace_back(n + 1)[i] = 1;
    program.limits.push_back(1);
  }
  const LinearSolution solution = SolveLinearProgram(program);
  for (size_t i = 0; i < n; ++i) result.share[open[i]] = std::min(1.0, solution.x[i]);

  // The prices of the bounds' rows combine them into one, which holds whatever rounding did.
  double sum = 0;
  for (size_t j = 0; j < pool_.size(); ++j) sum += solution.price[j];
  if (!(sum > 0)) return result;
  SetBound combined{0, std::vector<double>(problem_.experts(), 0.0)};
  for (size_t j = 0; j < pool_.size(); ++j) {
    const double part = solution.price[j] / sum;
    if (part <= 0) continue;
    last_used_[j] = solves_;
    combined.constant += part * pool_[j].constant;
    for (size_t i = 0; i < combined.slope.size(); ++i) {
      combined.slope[i] += part * pool_[j].slope[i];
    }
  }
  const double value = Largest(combined, box, rows);
  if (value < result.value) {
    result.value = value;
    result.bound = std::move(combined);
  }
  return result;
}

SetRelaxation::Result SetRelaxation::Tighten(const SetBox& box, size_t rounds, double enough) {
  Result best = Solve(box);
  std::vector<double> at = best.share;
  size_t in_vain = 0;
  for (size_t round = 0; round < rounds && best.value > enough; ++round) {
    const double value = Add(at);
    Result next = Solve(box);
    const double open = best.value - std::max(enough, value);
    in_vain = best.value - next.value > kWorthwhile * open ? 0 : in_vain + 1;
    if (next.value < best.value) best = next;
    if (in_vain == kRoundsInVain) break;
    for (size_t i = 0; i < at.size(); ++i) {
      at[i] = box.allowed.Has(i) ? at[i] + kTowardsRelaxation * (next.share[i] - at[i]) : 0;
    }
  }
  return best;
}

}  // namespace penstock::router
