#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pools/running_mean.h"

namespace penstock::router {

// One request that both the live files and the shadow decided: what each expects of its own choice.
struct ShadowDecision {
  bool agreed = false;  // on the same experts
  double live_quality = 0, shadow_quality = 0;
  double live_energy_j = 0, shadow_energy_j = 0;
};

// One reported answer of a decision that both made.
struct ShadowReport {
  double quality = 0;                           // as reported
  double live_quality = 0, shadow_quality = 0;  // as each predicted it of the expert that answered
  bool agreed = false;                          // the shadow would have asked that expert too
  // Where the decision logged how probable its choice was: that, and the live prediction for the
  // shadow's expert.
  std::optional<double> propensity;
  double baseline_quality = 0;
};

// How a shadow has done so far.
struct ShadowCounts {
  RunningMean live_quality, shadow_quality;  // expected, by decision
  RunningMean live_energy_j, shadow_energy_j;
  uint64_t agreed = 0;
  RunningMean live_brier, shadow_brier;  // by report
  RunningMean brier_gain;                // live - shadow, paired
  RunningMean value_gain;                // doubly robust, of reports that had a propensity

  uint64_t decisions() const { return live_quality.count(); }
  uint64_t reports() const { return brier_gain.count(); }
};

// Doubly robust estimate of what the shadow's choice would have been worth on one request, less
// what the live one was reported to be worth: m(s) + [s = a] (r - m(a)) / p(a) - r, with a the
// expert that answered, s the shadow's, m the live prediction and p(a) the logged probability.
// Unbiased whatever m is worth. Dudik, Langford and Li 2011, arXiv:1103.4601, eq. 1.
double DoublyRobustGain(const ShadowReport& report);

// INVALID_ARGUMENT for a rule out of range.
absl::Status ValidatePromotionRule(const config::v1::PromotionRule& rule);
// Whether the rule makes a shadow with these counts live. Not while the doubly robust estimate of
// what it chooses lies two standard errors or more below the live choice.
bool MayPromote(const config::v1::PromotionRule& rule, const ShadowCounts& counts);

enum class PromotedBy { kCommand, kRule };
absl::string_view PromotedByName(PromotedBy by);  // "command", "rule"

// Where counts go, of one pool. Thread-safe.
class ShadowObserver {
 public:
  virtual ~ShadowObserver() = default;
  virtual void Decided(const ShadowDecision& decision) = 0;
  virtual void Reported(const ShadowReport& report) = 0;
  virtual void Promoted(PromotedBy by) = 0;
};

// A pool's shadow by its numbers, and what was promoted last. Constant memory. Thread-safe.
class ShadowRecord {
 public:
  // Before anything is counted.
  void SetObserver(std::unique_ptr<ShadowObserver> observer) { observer_ = std::move(observer); }

  void Decided(const ShadowDecision& decision);
  // The counts with it.
  ShadowCounts Reported(const ShadowReport& report);
  void Promoted(const std::string& version, PromotedBy by);

  ShadowCounts counts() const;
  std::string promoted_version() const;  // empty: none yet

 private:
  std::unique_ptr<ShadowObserver> observer_;  // null: nobody
  mutable Mutex mutex_;
  ShadowCounts counts_ ABSL_GUARDED_BY(mutex_);
  std::string promoted_version_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
