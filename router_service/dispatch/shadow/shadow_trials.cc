#include "router_service/dispatch/shadow/shadow_trials.h"

#include <algorithm>
#include <optional>

#include "common/logging/log.h"
#include "common/status_macros.h"
#include "router_service/recording/answered_expert.h"
#include "router_service/recording/decision_id.h"

namespace penstock::router {
namespace {

const v1::Candidate* FindCandidate(const v1::Decision& decision, absl::string_view expert) {
  const auto found =
      std::find_if(decision.candidates().begin(), decision.candidates().end(),
                   [expert](const v1::Candidate& item) { return item.expert() == expert; });
  return found == decision.candidates().end() ? nullptr : &*found;
}

// What the live file alone predicted of the expert: a candidate's quality has what exploration
// learned in it, which a promotion forgets. Unset: the explorer remembers the decision no more.
std::optional<double> LivePrediction(const Pool& pool, const v1::Decision& decision,
                                     const v1::Candidate& candidate) {
  const Explorer* const explorer = pool.record->explorer.get();
  if (explorer == nullptr) return candidate.quality();
  const auto id = DecisionId::Parse(decision.id());
  const std::optional<size_t> expert = pool.FindExpert(candidate.expert());
  if (!id.ok() || !expert) return std::nullopt;
  return explorer->Predicted(id->sequence, *expert);
}

}  // namespace

void ShadowTrials::Reported(const v1::Decision& decision) {
  if (!decision.has_shadow_quality()) return;
  const std::shared_ptr<const Pool> pool = catalogue_.Find(decision.pool());
  if (pool == nullptr || pool->rooms == nullptr || pool->rooms->shadow == nullptr) return;
  const ArtifactVersions& live = pool->rooms->versions;
  // Decisions from before a promotion compare other files.
  if (decision.quality_version() != live.quality || decision.gate_version() != live.gate) return;
  const v1::Run* const answered = AnsweredRun(decision);
  const v1::Candidate* const asked =
      answered == nullptr ? nullptr : FindCandidate(decision, answered->expert());
  if (asked == nullptr) return;
  const std::optional<double> predicted = LivePrediction(*pool, decision, *asked);
  if (!predicted) return;
  ShadowReport report;
  report.quality = decision.reported_quality();
  report.live_quality = *predicted;
  report.shadow_quality = decision.shadow_quality();
  report.agreed = decision.shadow_expert() == answered->expert();
  const v1::Candidate* const shadows = FindCandidate(decision, decision.shadow_expert());
  if (shadows != nullptr) {
    report.propensity = PropensityOf(decision, *answered);
    report.baseline_quality = LivePrediction(*pool, decision, *shadows).value_or(0);
  }
  const ShadowCounts counts = pool->record->shadow.Reported(report);
  const config::v1::Shadow& shadow = pool->config.shadow();
  if (!shadow.has_promote() || !pool->record->shadow.promoted_version().empty()) return;
  if (!MayPromote(shadow.promote(), counts)) return;
  const auto promoted =
      Promote(pool->name(), pool->rooms->shadow->versions.Together(), PromotedBy::kRule);
  if (!promoted.ok()) {
    LogWarning("not_promoted")
        .With("pool", pool->name())
        .With("reason", promoted.status().ToString());
  }
}

absl::StatusOr<PoolCatalogue::Promotion> ShadowTrials::Promote(absl::string_view pool,
                                                               absl::string_view version,
                                                               PromotedBy by) {
  PENSTOCK_ASSIGN_OR_RETURN(const PoolCatalogue::Promotion promotion,
                            catalogue_.Promote(pool, version, by));
  if (!promotion.changed) return promotion;
  const ShadowCounts counts = catalogue_.Find(pool)->record->shadow.counts();
  LogInfo("promoted")
      .With("pool", pool)
      .With("promoted", promotion.live_version)
      .With("previous", promotion.previous_version)
      .With("by", PromotedByName(by))
      .With("reports", counts.reports())
      .With("brier_gain", counts.brier_gain.mean())
      .With("standard_error", counts.brier_gain.standard_error());
  return promotion;
}

void ShadowTrials::Describe(const Pool& pool, v1::ShadowStatus& status) {
  status.set_pool(pool.name());
  if (pool.rooms != nullptr) {
    status.set_live_version(pool.rooms->versions.Together());
    if (pool.rooms->shadow != nullptr) {
      status.set_shadow_version(pool.rooms->shadow->versions.Together());
    }
  }
  const ShadowCounts counts = pool.record->shadow.counts();
  status.set_decisions(counts.decisions());
  status.set_agreed(counts.agreed);
  status.set_live_quality(counts.live_quality.mean());
  status.set_shadow_quality(counts.shadow_quality.mean());
  status.set_live_energy_j(counts.live_energy_j.mean());
  status.set_shadow_energy_j(counts.shadow_energy_j.mean());
  status.set_reports(counts.reports());
  status.set_live_brier(counts.live_brier.mean());
  status.set_shadow_brier(counts.shadow_brier.mean());
  status.set_brier_gain(counts.brier_gain.mean());
  status.set_brier_gain_standard_error(counts.brier_gain.standard_error());
  status.set_value_gain(counts.value_gain.mean());
  status.set_value_gain_standard_error(counts.value_gain.standard_error());
  status.set_promoted_version(pool.record->shadow.promoted_version());
}

}  // namespace penstock::router
