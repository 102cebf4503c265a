#include "cli/evaluate/baselines.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "common/random.h"

namespace penstock::cli {
namespace {

double Interpolate(const OperatingPoint& a, const OperatingPoint& b, double energy_j) {
  const double t = (energy_j - a.energy_j) / (b.energy_j - a.energy_j);
  return a.accuracy + t * (b.accuracy - a.accuracy);
}

// True when b lies on or below the line from a to c.
bool Below(const OperatingPoint& a, const OperatingPoint& b, const OperatingPoint& c) {
  return (b.accuracy - a.accuracy) * (c.energy_j - a.energy_j) <=
         (c.accuracy - a.accuracy) * (b.energy_j - a.energy_j);
}

}  // namespace

AccuracyHull::AccuracyHull(std::vector<OperatingPoint> points) {
  std::sort(points.begin(), points.end(), [](const OperatingPoint& a, const OperatingPoint& b) {
    return a.energy_j != b.energy_j ? a.energy_j < b.energy_j : a.accuracy > b.accuracy;
  });
  for (const OperatingPoint& point : points) {
    if (!corners_.empty() && point.accuracy <= corners_.back().accuracy) continue;
    while (corners_.size() >= 2 &&
           Below(corners_[corners_.size() - 2], corners_.back(), point)) {
      corners_.pop_back();
    }
    corners_.push_back(point);
  }
}

double AccuracyHull::At(double energy_j) const {
  if (corners_.empty()) return 0;
  if (energy_j <= corners_.front().energy_j) return corners_.front().accuracy;
  for (size_t i = 1; i < corners_.size(); ++i) {
    if (energy_j <= corners_[i].energy_j) {
      return Interpolate(corners_[i - 1], corners_[i], energy_j);
    }
  }
  return corners_.back().accuracy;
}

double OutcomeMatrix::Accuracy(size_t expert) const {
  size_t count = 0;
  for (size_t request = 0; request < requests; ++request) count += Right(request, expert);
  return requests == 0 ? 0 : static_cast<double>(count) / static_cast<double>(requests);
}

std::vector<OperatingPoint> OutcomeMatrix::Points() const {
  std::vector<OperatingPoint> points;
  for (size_t expert = 0; expert < experts; ++expert) {
    points.push_back({energy_j[expert], Accuracy(expert)});
  }
  return points;
}

double RandomAccuracy(const OutcomeMatrix& outcomes, double energy_j) {
  const std::vector<OperatingPoint> points = outcomes.Points();
  OperatingPoint uniform;
  for (const OperatingPoint& point : points) {
    uniform.energy_j += point.energy_j / static_cast<double>(points.size());
    uniform.accuracy += point.accuracy / static_cast<double>(points.size());
  }
  const auto by_energy = [](const OperatingPoint& a, const OperatingPoint& b) {
    return a.energy_j < b.energy_j;
  };
  const auto [cheapest, dearest] = std::minmax_element(points.begin(), points.end(), by_energy);
  if (energy_j <= cheapest->energy_j) return cheapest->accuracy;
  if (energy_j >= dearest->energy_j) return dearest->accuracy;
  return energy_j <= uniform.energy_j ? Interpolate(*cheapest, uniform, energy_j)
                                      : Interpolate(uniform, *dearest, energy_j);
}

double HindsightAccuracy(const OutcomeMatrix& outcomes, double energy_j) {
  const size_t cheapest = static_cast<size_t>(
      std::min_element(outcomes.energy_j.begin(), outcomes.energy_j.end()) -
      outcomes.energy_j.begin());
  size_t right = 0;
  std::vector<double> extra;  // what the cheapest right expert costs beyond the cheapest one
  for (size_t request = 0; request < outcomes.requests; ++request) {
    if (outcomes.Right(request, cheapest)) {
      ++right;
      continue;
    }
    double least = INFINITY;
    for (size_t expert = 0; expert < outcomes.experts; ++expert) {
      if (outcomes.Right(request, expert)) {
        least = std::min(least, outcomes.energy_j[expert] - outcomes.energy_j[cheapest]);
      }
    }
    if (std::isfinite(least)) extra.push_back(least);
  }
  std::sort(extra.begin(), extra.end());
  double left = (energy_j - outcomes.energy_j[cheapest]) * static_cast<double>(outcomes.requests);
  for (const double cost : extra) {
    if (cost > left) break;
    left -= cost;
    ++right;
  }
  return outcomes.requests == 0
             ? 0
             : static_cast<double>(right) / static_cast<double>(outcomes.requests);
}

double ShuffledAccuracy(const OutcomeMatrix& outcomes, absl::Span<const int> answered_by,
                        uint64_t seed, int rounds) {
  const size_t n = outcomes.requests;
  if (n == 0 || rounds <= 0) return 0;
  std::vector<size_t> permutation(n);
  size_t right = 0;
  for (int round = 0; round < rounds; ++round) {
    CounterRandom random(seed, static_cast<uint64_t>(round));
    std::iota(permutation.begin(), permutation.end(), size_t{0});
    // Sattolo's shuffle: one cycle, so that no request keeps its own.
    for (size_t i = n - 1; i > 0; --i) std::swap(permutation[i], permutation[random.Below(i)]);
    for (size_t request = 0; request < n; ++request) {
      const int expert = answered_by[permutation[request]];
      if (expert >= 0) right += outcomes.Right(request, static_cast<size_t>(expert));
    }
  }
  return static_cast<double>(right) / (static_cast<double>(n) * rounds);
}

double StandardError(double share, size_t count) {
  return count == 0 ? 0 : std::sqrt(share * (1 - share) / static_cast<double>(count));
}

}  // namespace penstock::cli
