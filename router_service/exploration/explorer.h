#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/mutex.h"
#include "common/random.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/exploration/exploration_ledger.h"
#include "router_service/exploration/ridge_estimate.h"
#include "router_service/features/feature_view.h"

namespace penstock::router {

// An expert that a request may be sent to.
struct ExplorationOption {
  size_t expert = 0;
  double worth = 0;  // value * reward less the price of its joules, as estimated
  double bonus = 0;  // in the same unit: what it may be worth more
  double energy_j = 0;
};

struct ExplorationChoice {
  size_t option = 0;      // index into the options
  double propensity = 1;  // P(this option), given all that was known
  bool explored = false;  // it is not the choice without exploration
  double premium_j = 0;   // paid for it, >= 0
};

// What a pool learns of its experts from reported qualities, and whom it asks to learn more: linear
// contextual bandits with knapsacks (Agrawal and Devanur 2016, arXiv:1507.06738), the price of
// joules being the pacer's. Per expert a ridge regression of (reported - predicted) on a sketch of
// the features; the choice maximises worth + bonus among the options whose premium of joules the
// ledger covers, and with a small probability is any of them. Thread-safe: estimates read what was
// published with the last report, and never wait for the next one's. Deterministic by the order of
// calls and the draws.
class Explorer {
 public:
  struct Options {
    double beta = 0.3;
    double max_spend = 0.02;
    double uniform = 0.01;
    double forget = 0.999;
    size_t dimension = 32;
  };
  // Decisions whose reports are waited for.
  static constexpr size_t kPending = 4096;

  // INVALID_ARGUMENT where the pool's `exploration` is out of range or does not go with the pool.
  static absl::Status Validate(const config::v1::Pool& pool);
  static Options ReadOptions(const config::v1::Exploration& config);

  Explorer(size_t experts, Options options);

  // By expert: quality becomes prediction plus what was learned of it, in [0, 1]; bonus is beta
  // times (the regression's deviation + `uncertainty` over the square root of the expert's
  // reports). `uncertainty`: the prediction's deviation.
  void Estimate(const FeatureView& z, absl::Span<const float> uncertainty,
                absl::Span<float> quality, absl::Span<float> bonus) const;

  // Whom of the options, of which `best` is the choice without exploration, and pays for it.
  ExplorationChoice Choose(absl::string_view tenant, absl::Span<const ExplorationOption> options,
                           size_t best, CounterRandom random);
  // The choice came to nothing.
  void Refund(absl::string_view tenant, double premium_j);

  // A decision whose answer may be reported on: its features, and what the quality model alone
  // predicted of each expert.
  void Remember(uint64_t sequence, const FeatureView& z, absl::Span<const float> predicted);
  // What the quality model alone predicted; unset: the decision is not remembered.
  std::optional<float> Predicted(uint64_t sequence, size_t expert) const;
  // `expert` alone answered it. A decision that is not remembered, or was reported, changes
  // nothing.
  void Report(uint64_t sequence, size_t expert, double quality);

  // Forgets what was learned: predictions come from another model from here on.
  void Reset();

  struct Totals {
    uint64_t reports = 0;
    double accrued_j = 0;  // of requests without exploration
    double paid_j = 0;     // premiums of exploration
  };
  Totals totals() const;

 private:
  struct Pending {
    uint64_t sequence = 0;
    std::vector<float> sketch;
    std::vector<float> predicted;
  };

  // By expert. A report replaces one of them in a copy of the list.
  using Ridges = std::vector<std::shared_ptr<const RidgeEstimate>>;

  std::shared_ptr<const Ridges> Untaught() const;

  const size_t experts_;
  const Options options_;
  // Held while the next list is made, and before mutex_.
  Mutex learning_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable Mutex mutex_;
  std::shared_ptr<const Ridges> ridges_ ABSL_GUARDED_BY(mutex_);
  ExplorationLedger ledger_ ABSL_GUARDED_BY(mutex_);
  std::vector<Pending> ring_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;                              // the oldest, once full
  absl::flat_hash_map<uint64_t, size_t> slots_ ABSL_GUARDED_BY(mutex_);  // sequence -> ring index
  uint64_t reports_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace penstock::router
