#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// What a request is to a small and a big model: only a needy one profits from the big one.
enum class Need { kNeedy, kGood, kHopeless };

// P(need | what the small model's verifier said), in bins of equal width over [0, 1] centred on
// 0, 1/(bins-1), ..., 1: AutoMix, Aggarwal et al. 2023, arXiv:2310.12963.
struct VerifierModel {
  std::vector<std::array<double, 3>> need;  // [bins][Need], each row sums to 1
  std::vector<double> gain;                 // [bins] mean of (big - small)

  static size_t BinOf(float verdict, size_t bins);
  // Counted, a third of a request added to each need. Right is a score of 1/2 or more.
  static VerifierModel Fit(absl::Span<const float> verdict, absl::Span<const float> small,
                           absl::Span<const float> big, size_t bins);
};

// Which bins go on to the big model.
using VerifierPolicy = std::vector<uint8_t>;

// The better expected action in every bin, rewards of staying (-R, 0, -R-1) and of going on (-100,
// -100, -R-100) for (needy, good, hopeless).
VerifierPolicy RewardPolicy(const VerifierModel& model, double reward);

// Without repetitions: the reward policies of R = 0 ... 4999, all bands of bins (hence single
// thresholds too: a band that gives up at the bottom and accepts at the top is the general case),
// and the prefixes of the bins by falling gain, smoothed by a Gaussian of two bins.
std::vector<VerifierPolicy> CandidatePolicies(const VerifierModel& model);

struct PairPoint {
  double cost = 0;
  double quality = 0;
};
// Incremental benefit per cost over what a random mix of the two models gives, in percent of it.
double IncrementalBenefit(const PairPoint& router, const PairPoint& small, const PairPoint& big);

}  // namespace penstock::router
