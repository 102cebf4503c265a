#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace penstock::cli {

// A way to answer all requests: what it costs and how often it is right.
struct OperatingPoint {
  double energy_j = 0;  // mean per request
  double accuracy = 0;
};

// What can be had without looking at the request: the upper concave hull of single experts, where a
// random mixture of two neighbours gives every point between them; flat beyond the best one.
class AccuracyHull {
 public:
  explicit AccuracyHull(std::vector<OperatingPoint> points);
  // At a mean of `energy_j` per request; below the cheapest expert its accuracy.
  double At(double energy_j) const;

 private:
  std::vector<OperatingPoint> corners_;  // by energy, accuracy increasing
};

// Which experts were right on which request: the outcome of running every expert on every request.
struct OutcomeMatrix {
  size_t requests = 0;
  size_t experts = 0;
  std::vector<uint8_t> right;    // [requests, experts]
  std::vector<double> energy_j;  // [experts], mean per request

  bool Right(size_t request, size_t expert) const { return right[request * experts + expert] != 0; }
  double Accuracy(size_t expert) const;
  std::vector<OperatingPoint> Points() const;
};

// Accuracy of an expert drawn uniformly, mixed with the cheapest or the dearest one so that the
// mean joules are `energy_j`.
double RandomAccuracy(const OutcomeMatrix& outcomes, double energy_j);

// The most that any router could reach with mean joules `energy_j`: everybody gets the cheapest
// expert, then requests are given their cheapest right expert in order of its extra cost.
double HindsightAccuracy(const OutcomeMatrix& outcomes, double energy_j);

// Accuracy when each request is answered by the expert that another request was given: the same
// experts in the same shares, without the match. Negative: nobody answered, which
// is wrong for everybody. Mean over `rounds` random cyclic permutations.
double ShuffledAccuracy(const OutcomeMatrix& outcomes, absl::Span<const int> answered_by,
                        uint64_t seed, int rounds);

// sqrt(p (1 - p) / n).
double StandardError(double share, size_t count);

}  // namespace penstock::cli
