#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/pools/pool_catalogue.h"

namespace penstock::router {

// Compares the pools' shadows with their live files on reported answers, and makes a shadow live:
// by command, or by the pool's rule, once. Each promotion is logged and counted. Thread-safe.
class ShadowTrials {
 public:
  // Outlives the trials.
  explicit ShadowTrials(PoolCatalogue& catalogue) : catalogue_(catalogue) {}

  // The first report of a decision, which holds it. Counts where the pool's live files and shadow
  // are still those that decided; promotes where the rule says so. Before LearnFromReport, after
  // which the explorer remembers the decision no more.
  void Reported(const v1::Decision& decision);
  // As PoolCatalogue::Promote.
  absl::StatusOr<PoolCatalogue::Promotion> Promote(absl::string_view pool,
                                                   absl::string_view version, PromotedBy by);
  static void Describe(const Pool& pool, v1::ShadowStatus& status);

 private:
  PoolCatalogue& catalogue_;
};

}  // namespace penstock::router
