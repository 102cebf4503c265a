#include "router_service/pools/pool_load.h"

#include <numeric>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr uint32_t kMostSlots = 65536;
// Of a transport plan: what one window may take of the processor.
constexpr uint32_t kMostPairs = 65536;
constexpr uint32_t kMostTogether = 256;

absl::Status Bad(const config::v1::Pool& pool, absl::string_view detail) {
  return absl::InvalidArgumentError(absl::StrCat("pool ", pool.name(), ": ", detail));
}

absl::Status ValidateBatch(const config::v1::Pool& pool) {
  const config::v1::BatchAssignment& batch = pool.selection().batch_assignment();
  const auto bad = [&](absl::string_view field, double got, absl::string_view wanted) {
    return Bad(
        pool, absl::StrCat("selection.batch_assignment.", field, " is ", got, ", wanted ", wanted));
  };
  if (batch.has_utilisation() && !(batch.utilisation() > 0 && batch.utilisation() <= 1)) {
    return bad("utilisation", batch.utilisation(), "(0, 1]");
  }
  if (batch.has_window_ms() && !(batch.window_ms() >= 0.1 && batch.window_ms() <= 100)) {
    return bad("window_ms", batch.window_ms(), "[0.1, 100]");
  }
  if (batch.has_max_requests() && (batch.max_requests() < 2 || batch.max_requests() > 256)) {
    return bad("max_requests", batch.max_requests(), "[2, 256]");
  }
  const uint32_t together = batch.has_max_requests() ? batch.max_requests() : kMostTogether;
  const auto experts = static_cast<uint32_t>(pool.experts_size());
  if (uint64_t{together} * experts > kMostPairs) {
    return bad("max_requests", together,
               absl::StrCat("at most ", kMostPairs / experts, ": each is assigned among ", experts,
                            " experts, ", kMostPairs, " pairs at most in a window"));
  }
  if (batch.has_entropy() && !(batch.entropy() >= 0.001 && batch.entropy() <= 10)) {
    return bad("entropy", batch.entropy(), "[0.001, 10]");
  }
  return absl::OkStatus();
}

}  // namespace

double PoolLoad::utilisation() const {
  const double capacity = std::accumulate(slots.begin(), slots.end(), 0.0);
  return capacity > 0 ? std::accumulate(in_flight.begin(), in_flight.end(), 0.0) / capacity : 0;
}

PoolLoad ReadPoolLoad(const Pool& pool, absl::Time now) {
  PoolLoad load;
  load.in_flight.assign(pool.experts.size(), 0);
  load.slots.assign(pool.experts.size(), 0);
  for (size_t i = 0; i < pool.experts.size(); ++i) {
    if (!pool.experts[i].admitted) continue;
    const config::v1::PoolExpert& config = pool.config.experts(static_cast<int>(i));
    const double of_replica = config.has_slots() ? config.slots() : 1;
    for (const std::shared_ptr<Replica>& replica : pool.experts[i].replicas) {
      if (!replica->available()) continue;
      const ReplicaLoad of_one = replica->Load(now);
      load.in_flight[i] += of_one.in_flight + of_one.queue_depth;
      load.slots[i] += of_replica;
    }
  }
  return load;
}

absl::Status ValidateLoadSettings(const config::v1::Pool& pool) {
  for (const config::v1::PoolExpert& expert : pool.experts()) {
    if (expert.has_slots() && (expert.slots() < 1 || expert.slots() > kMostSlots)) {
      return Bad(pool, absl::StrCat("expert ", expert.name(), ": slots is ", expert.slots(),
                                    ", wanted [1, ", kMostSlots, "]"));
    }
  }
  const config::v1::Selection& selection = pool.selection();
  if (selection.has_max_utilisation() &&
      !(selection.max_utilisation() > 0 && selection.max_utilisation() <= 1)) {
    return Bad(pool, absl::StrCat("selection.max_utilisation is ", selection.max_utilisation(),
                                  ", wanted (0, 1]"));
  }
  const bool by_row = pool.granularity() == config::v1::Pool::ROW;
  if (selection.has_max_utilisation() && by_row) {
    return Bad(pool, "selection.max_utilisation: wanted granularity REQUEST");
  }
  if (!selection.has_batch_assignment()) return absl::OkStatus();
  if (by_row) return Bad(pool, "selection.batch_assignment: wanted granularity REQUEST");
  if (!pool.cascade().first().empty()) {
    return Bad(pool, "selection.batch_assignment: a pool with a cascade asks one expert first");
  }
  return ValidateBatch(pool);
}

}  // namespace penstock::router
