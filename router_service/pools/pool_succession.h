#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/time/clock.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pools/pool.h"

// What a pool keeps of its state when its configuration or its files change.

namespace penstock::router {

// The state of a pool that begins: `pool` has its configuration, experts and classes.
absl::StatusOr<std::shared_ptr<PoolRecord>> MakePoolRecord(const Pool& pool, bool learning,
                                                           const Clock& clock);

// By expert of `next`, the one of `before` that it goes on being: the same name, model, version,
// parameters and slots.
std::vector<std::optional<size_t>> ContinuedExperts(const Pool& before, const Pool& next);

// Endpoints that stay keep their connection and what was seen of their replica. What an expert said
// of itself stays while one of its endpoints does.
void KeepReplicas(const Pool& before, const std::vector<std::optional<size_t>>& continued,
                  Pool& next);

// Whether everything that the pool has learnt and counted holds for `next` as it is. Without
// learning costs follow the configuration, and it does not.
bool KeepsRecord(const config::v1::Pool& before, const config::v1::Pool& next, bool learning,
                 bool same_files);

// Else: a record of `next` that goes on counting, and knows the costs of continued experts.
// Requests that began before are counted in the old one.
absl::StatusOr<std::shared_ptr<PoolRecord>> SucceedRecord(
    const Pool& before, const std::vector<std::optional<size_t>>& continued, const Pool& next,
    bool learning, const Clock& clock);

// Where `next` has a record of its own: it goes on from what `before` has counted until now. Before
// `next` counts anything.
void ContinueCounts(const Pool& before, const Pool& next);

}  // namespace penstock::router
