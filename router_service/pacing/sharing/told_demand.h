#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/store/store.h"
#include "router_service/pacing/sharing/budget_shares.h"

namespace penstock::router {

// The name of a budget's totals in the store.
std::string TotalsName(const BudgetKey& key);
// A router's row among them, amounts in millionths. Each generation has its own: totals there only
// grow, and those of a budget that was set again would not be seen until they exceed the old ones.
std::vector<StoreField> FieldsOf(absl::string_view router, const ToldDemand& told);
// Adds what totals say to what is known: of each router, what it told last. Fields that are none of
// ours are left out.
void MergeFields(const StoreFields& fields, ToldDemands& told);

}  // namespace penstock::router
