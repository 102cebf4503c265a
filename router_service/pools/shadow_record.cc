#include "router_service/pools/shadow_record.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr uint32_t kDefaultReports = 1000;
constexpr double kDefaultStandardErrors = 3;
// Of the doubly robust estimate, by which it may fall short.
constexpr double kWorseErrors = 2;
// A choice that was less probable counts as if it had been this probable: one report must not
// outweigh all others.
constexpr double kLeastPropensity = 1e-3;

}  // namespace

double DoublyRobustGain(const ShadowReport& report) {
  const double correction = report.agreed
                                ? (report.quality - report.live_quality) /
                                      std::max(kLeastPropensity, report.propensity.value_or(1))
                                : 0;
  return report.baseline_quality + correction - report.quality;
}

absl::Status ValidatePromotionRule(const config::v1::PromotionRule& rule) {
  if (rule.has_reports() && (rule.reports() < 30 || rule.reports() > 1'000'000)) {
    return absl::InvalidArgumentError(
        absl::StrCat("reports is ", rule.reports(), ", wanted [30, 1000000]"));
  }
  if (rule.has_standard_errors() &&
      !(rule.standard_errors() >= 1 && rule.standard_errors() <= 10)) {
    return absl::InvalidArgumentError(
        absl::StrCat("standard_errors is ", rule.standard_errors(), ", wanted [1, 10]"));
  }
  return absl::OkStatus();
}

bool MayPromote(const config::v1::PromotionRule& rule, const ShadowCounts& counts) {
  const uint64_t reports = rule.has_reports() ? rule.reports() : kDefaultReports;
  const double errors =
      rule.has_standard_errors() ? rule.standard_errors() : kDefaultStandardErrors;
  // Better predictions do not make better choices: where these are estimated to be worse, it stays.
  const bool chooses_worse =
      counts.value_gain.mean() < -kWorseErrors * counts.value_gain.standard_error();
  return counts.reports() >= reports && !chooses_worse &&
         counts.brier_gain.mean() > errors * counts.brier_gain.standard_error();
}

absl::string_view PromotedByName(PromotedBy by) {
  switch (by) {
    case PromotedBy::kCommand:
      return "command";
    case PromotedBy::kRule:
      return "rule";
  }
  return "";
}

void ShadowRecord::Decided(const ShadowDecision& decision) {
  if (observer_ != nullptr) observer_->Decided(decision);
  MutexLock lock(mutex_);
  counts_.agreed += decision.agreed ? 1 : 0;
  counts_.live_quality.Add(decision.live_quality);
  counts_.shadow_quality.Add(decision.shadow_quality);
  counts_.live_energy_j.Add(decision.live_energy_j);
  counts_.shadow_energy_j.Add(decision.shadow_energy_j);
}

ShadowCounts ShadowRecord::Reported(const ShadowReport& report) {
  if (observer_ != nullptr) observer_->Reported(report);
  const double live_off = report.live_quality - report.quality;
  const double shadow_off = report.shadow_quality - report.quality;
  MutexLock lock(mutex_);
  counts_.live_brier.Add(live_off * live_off);
  counts_.shadow_brier.Add(shadow_off * shadow_off);
  counts_.brier_gain.Add(live_off * live_off - shadow_off * shadow_off);
  if (report.propensity) counts_.value_gain.Add(DoublyRobustGain(report));
  return counts_;
}

void ShadowRecord::Promoted(const std::string& version, PromotedBy by) {
  if (observer_ != nullptr) observer_->Promoted(by);
  MutexLock lock(mutex_);
  promoted_version_ = version;
}

ShadowCounts ShadowRecord::counts() const {
  MutexLock lock(mutex_);
  return counts_;
}

std::string ShadowRecord::promoted_version() const {
  MutexLock lock(mutex_);
  return promoted_version_;
}

}  // namespace penstock::router
