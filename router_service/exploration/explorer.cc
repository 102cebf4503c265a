#include "router_service/exploration/explorer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router_service/exploration/feature_sketch.h"

namespace penstock::router {

absl::Status Explorer::Validate(const config::v1::Pool& pool) {
  if (!pool.has_exploration()) return absl::OkStatus();
  const auto bad = [&](absl::string_view detail) {
    return absl::InvalidArgumentError(absl::StrCat("pool ", pool.name(), ": exploration", detail));
  };
  const Options options = ReadOptions(pool.exploration());
  const auto within = [&](absl::string_view field, double got, double least, double most) {
    if (got >= least && got <= most) return absl::OkStatus();
    return bad(absl::StrCat(".", field, " is ", got, ", wanted [", least, ", ", most, "]"));
  };
  for (const absl::Status& status :
       {within("beta", options.beta, 0, 10), within("max_spend", options.max_spend, 0, 0.5),
        within("uniform", options.uniform, 0, 0.5), within("forget", options.forget, 0.9, 1),
        within("dimensions", static_cast<double>(options.dimension), 1, 256)}) {
    if (!status.ok()) return status;
  }
  if (pool.granularity() == config::v1::Pool::ROW) return bad(": wanted granularity REQUEST");
  if (!pool.cascade().first().empty()) return bad(": a pool with a cascade asks one expert first");
  if (pool.selection().score() != config::v1::Selection::QUALITY || pool.gate().has_random()) {
    return bad(": wanted selection.score QUALITY and no random gate: it learns qualities");
  }
  return absl::OkStatus();
}

Explorer::Options Explorer::ReadOptions(const config::v1::Exploration& config) {
  Options options;
  if (config.has_beta()) options.beta = config.beta();
  if (config.has_max_spend()) options.max_spend = config.max_spend();
  if (config.has_uniform()) options.uniform = config.uniform();
  if (config.has_forget()) options.forget = config.forget();
  if (config.has_dimensions()) options.dimension = config.dimensions();
  return options;
}

Explorer::Explorer(size_t experts, Options options)
    : experts_(experts), options_(options), ridges_(Untaught()), ledger_(options.max_spend) {}

std::shared_ptr<const Explorer::Ridges> Explorer::Untaught() const {
  return std::make_shared<const Ridges>(
      experts_, std::make_shared<const RidgeEstimate>(options_.dimension, options_.forget));
}

void Explorer::Estimate(const FeatureView& z, absl::Span<const float> uncertainty,
                        absl::Span<float> quality, absl::Span<float> bonus) const {
  thread_local std::vector<double> sketch;
  SketchFeatures(z, options_.dimension, sketch);
  std::shared_ptr<const Ridges> ridges;
  {
    MutexLock lock(mutex_);
    ridges = ridges_;
  }
  for (size_t i = 0; i < experts_; ++i) {
    const RidgeEstimate& ridge = *(*ridges)[i];
    const double visits = std::max<double>(1, static_cast<double>(ridge.observed()));
    quality[i] = static_cast<float>(std::clamp(quality[i] + ridge.Mean(sketch), 0.0, 1.0));
    bonus[i] = static_cast<float>(options_.beta *
                                  (ridge.Deviation(sketch) + uncertainty[i] / std::sqrt(visits)));
  }
}

ExplorationChoice Explorer::Choose(absl::string_view tenant,
                                   absl::Span<const ExplorationOption> options, size_t best,
                                   CounterRandom random) {
  MutexLock lock(mutex_);
  ledger_.Accrue(tenant, options[best].energy_j);
  const double credit = ledger_.credit(tenant);
  const auto premium = [&](size_t i) { return options[i].energy_j - options[best].energy_j; };
  const auto covered = [&](size_t i) { return i == best || premium(i) <= credit; };
  const auto hopes = [&](size_t i) { return options[i].worth + options[i].bonus; };
  size_t affordable = 0;
  size_t optimistic = best;
  for (size_t i = 0; i < options.size(); ++i) {
    if (!covered(i)) continue;
    ++affordable;
    const bool earlier = i < optimistic && hopes(i) == hopes(optimistic);
    if (hopes(i) > hopes(optimistic) || earlier) optimistic = i;
  }
  ExplorationChoice choice;
  choice.option = optimistic;
  if (random.Uniform() < options_.uniform) {
    uint64_t left = random.Below(affordable);
    for (size_t i = 0; i < options.size(); ++i) {
      if (covered(i) && left-- == 0) {
        choice.option = i;
        break;
      }
    }
  }
  choice.propensity = options_.uniform / static_cast<double>(affordable);
  if (choice.option == optimistic) choice.propensity += 1 - options_.uniform;
  choice.explored = choice.option != best;
  choice.premium_j = std::max(0.0, premium(choice.option));
  ledger_.Pay(tenant, choice.premium_j);
  return choice;
}

void Explorer::Refund(absl::string_view tenant, double premium_j) {
  MutexLock lock(mutex_);
  ledger_.Refund(tenant, premium_j);
}

void Explorer::Remember(uint64_t sequence, const FeatureView& z,
                        absl::Span<const float> predicted) {
  thread_local std::vector<double> sketch;
  SketchFeatures(z, options_.dimension, sketch);
  MutexLock lock(mutex_);
  size_t slot = ring_.size();
  if (slot < kPending) {
    ring_.emplace_back();
  } else {
    slot = next_;
    next_ = (next_ + 1) % kPending;
    slots_.erase(ring_[slot].sequence);
  }
  Pending& pending = ring_[slot];
  pending.sequence = sequence;
  pending.sketch.assign(sketch.begin(), sketch.end());
  pending.predicted.assign(predicted.begin(), predicted.end());
  slots_[sequence] = slot;
}

std::optional<float> Explorer::Predicted(uint64_t sequence, size_t expert) const {
  MutexLock lock(mutex_);
  const auto found = slots_.find(sequence);
  if (found == slots_.end() || expert >= experts_) return std::nullopt;
  return ring_[found->second].predicted[expert];
}

void Explorer::Report(uint64_t sequence, size_t expert, double quality) {
  if (expert >= experts_ || !std::isfinite(quality)) return;
  MutexLock learn(learning_);
  std::vector<double> sketch;
  double predicted = 0;
  std::shared_ptr<const Ridges> ridges;
  {
    MutexLock lock(mutex_);
    const auto found = slots_.find(sequence);
    if (found == slots_.end()) return;
    const Pending& pending = ring_[found->second];
    slots_.erase(found);
    sketch.assign(pending.sketch.begin(), pending.sketch.end());
    predicted = pending.predicted[expert];
    ridges = ridges_;
  }
  auto next = std::make_shared<Ridges>(*ridges);
  auto taught = std::make_shared<RidgeEstimate>(*(*ridges)[expert]);
  taught->Observe(sketch, quality - predicted);
  (*next)[expert] = std::move(taught);
  MutexLock lock(mutex_);
  ridges_ = std::move(next);  // `ridges` holds the former one until the lock is gone
  ++reports_;
}

void Explorer::Reset() {
  MutexLock learn(learning_);
  std::shared_ptr<const Ridges> ridges = Untaught();
  MutexLock lock(mutex_);
  ridges_.swap(ridges);
  slots_.clear();
}

Explorer::Totals Explorer::totals() const {
  MutexLock lock(mutex_);
  return {reports_, ledger_.accrued_j(), ledger_.paid_j()};
}

}  // namespace penstock::router
