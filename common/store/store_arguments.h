#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/store/store.h"

namespace penstock {

// What every store refuses alike: INVALID_ARGUMENT that names the argument.

// `what`: "key", "owner".
absl::Status CheckStoreName(absl::string_view what, absl::string_view name);
absl::Status CheckStoreTtl(absl::string_view name, absl::Duration ttl);
// `least`: of a value. The smallest integer is never one: it has no negative.
absl::Status CheckStoreFields(absl::string_view name, absl::Span<const StoreField> fields,
                              int64_t least);
absl::Status CheckBudgetTake(const BudgetTake& take);
// Owner's name included: it becomes a field.
absl::Status CheckLease(absl::string_view name, absl::string_view owner);

}  // namespace penstock
