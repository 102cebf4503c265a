#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace penstock::router {

// Why a request got no answer. A closed set: the names are a metric's.
enum class Refusal : uint8_t {
  kNone,          // "": it got one
  kInvalid,       // "invalid": the request's own fault
  kUnknownPool,   // "unknown_pool"
  kRights,        // "rights": the caller may not ask so
  kNotReady,      // "not_ready": the pool has not loaded
  kMaxInFlight,   // "max_in_flight": as many as the pool takes are running
  kBudget,        // "budget": of pool, tenant or platform
  kStoreDown,     // "store_down": a budget that nothing may be spent of without the store
  kDeadline,      // "deadline": nobody answers in time, or did
  kEnergyBudget,  // "energy_budget": the request's own cap
  kQuality,       // "quality": nobody reaches what the request asks for
  kNoExpert,      // "no_expert": none may be asked
  kExpertFailed,  // "expert_failed": whoever was asked
  kCancelled,     // "cancelled": the caller went away
  kInternal,      // "internal"
};
inline constexpr size_t kRefusals = static_cast<size_t>(Refusal::kInternal) + 1;

absl::string_view RefusalName(Refusal refusal);

// The status with its reason beside it, from where it was decided. A reason that it has stays; OK
// has none.
absl::Status Because(Refusal why, absl::Status status);
// What Because said of it. Of a status that nobody gave a reason: by its code, a fault of the
// request, a caller that went away, or ours.
Refusal RefusalOf(const absl::Status& status);

}  // namespace penstock::router
