#include "router_service/baseline_cascades/self_verification.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace penstock::router {
namespace {

constexpr int kRewards = 5000;
constexpr double kSmoothingBins = 2;

std::vector<double> Smoothed(const std::vector<double>& values) {
  std::vector<double> out(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    double sum = 0, total = 0;
    for (size_t k = 0; k < values.size(); ++k) {
      const double distance = static_cast<double>(i) - static_cast<double>(k);
      const double weight = std::exp(-distance * distance / (2 * kSmoothingBins * kSmoothingBins));
      sum += weight * values[k];
      total += weight;
    }
    out[i] = sum / total;
  }
  return out;
}

}  // namespace

size_t VerifierModel::BinOf(float verdict, size_t bins) {
  const float place = std::clamp(verdict, 0.0f, 1.0f) * static_cast<float>(bins - 1);
  return static_cast<size_t>(std::lround(place));
}

VerifierModel VerifierModel::Fit(absl::Span<const float> verdict, absl::Span<const float> small,
                                 absl::Span<const float> big, size_t bins) {
  VerifierModel model;
  model.need.assign(bins, {1.0 / 3, 1.0 / 3, 1.0 / 3});
  model.gain.assign(bins, 0.0);
  std::vector<double> count(bins, 0.0);
  for (size_t row = 0; row < verdict.size(); ++row) {
    const size_t bin = BinOf(verdict[row], bins);
    const Need need = small[row] >= 0.5f ? Need::kGood
                      : big[row] >= 0.5f ? Need::kNeedy
                                         : Need::kHopeless;
    model.need[bin][static_cast<size_t>(need)] += 1;
    model.gain[bin] += big[row] - small[row];
    count[bin] += 1;
  }
  for (size_t bin = 0; bin < bins; ++bin) {
    for (double& share : model.need[bin]) share /= count[bin] + 1;
    if (count[bin] > 0) model.gain[bin] /= count[bin];
  }
  return model;
}

VerifierPolicy RewardPolicy(const VerifierModel& model, double reward) {
  VerifierPolicy policy;
  for (const std::array<double, 3>& need : model.need) {
    const std::array<double, 3> stay = {-reward, 0, -reward - 1};
    const std::array<double, 3> go_on = {-100, -100, -reward - 100};
    double advantage = 0;
    for (size_t i = 0; i < need.size(); ++i) advantage += need[i] * (go_on[i] - stay[i]);
    policy.push_back(advantage > 0);
  }
  return policy;
}

std::vector<VerifierPolicy> CandidatePolicies(const VerifierModel& model) {
  const size_t bins = model.need.size();
  std::set<VerifierPolicy> policies;
  for (int reward = 0; reward < kRewards; ++reward) policies.insert(RewardPolicy(model, reward));
  for (size_t low = 0; low < bins; ++low) {
    VerifierPolicy band(bins, 0);
    for (size_t high = low; high < bins; ++high) {
      band[high] = 1;
      policies.insert(band);
    }
  }
  const std::vector<double> gain = Smoothed(model.gain);
  std::vector<size_t> order(bins);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return gain[a] > gain[b]; });
  VerifierPolicy prefix(bins, 0);
  for (const size_t bin : order) {
    prefix[bin] = 1;
    policies.insert(prefix);
  }
  return {policies.begin(), policies.end()};
}

double IncrementalBenefit(const PairPoint& router, const PairPoint& small, const PairPoint& big) {
  const double mixed = (big.quality - small.quality) / (big.cost - small.cost);
  const double routed = (router.quality - small.quality) / (router.cost - small.cost);
  return 100 * (routed - mixed) / mixed;
}

}  // namespace penstock::router
