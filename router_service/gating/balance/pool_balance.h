#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/store/store.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::router {

// How a pool's requests fell to its experts, over all routers.
struct Balance {
  // n sum_i f_i p_i over n experts: 1 where choice or gate is uniform, n where both are one
  // expert's. Of all routers' requests together (Qiu et al. 2025, Demons in the Detail): the mean
  // of routers' own values would call it imbalance that each has tenants with a speciality.
  double loss = 0;
  std::vector<double> chosen;  // f_i: share of the choices
  std::vector<double> gate;    // p_i: mean gate probability
};

// What requests of one pool add to it. Not thread-safe.
class BalanceCounts {
 public:
  // Each run that was chosen counts once, and each candidate's gate probability. A decision of
  // other experts than those so far begins anew.
  void Add(const v1::Decision& decision);
  bool empty() const { return requests_ == 0; }
  // As counters of a window: "c EXPERT", choices, and "p EXPERT", millionths of probability.
  std::vector<StoreField> Fields() const;

 private:
  uint64_t requests_ = 0;
  std::vector<std::string> experts_;
  std::vector<int64_t> chosen_;
  std::vector<double> gate_;
};

// Of the counters' experts, those that the pool has. Nothing: no choice of theirs was counted.
std::optional<Balance> BalanceOf(const StoreFields& counters,
                                 absl::Span<const std::string> experts);

}  // namespace penstock::router
