#include "common/store/store_arguments.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock {

absl::Status CheckStoreName(absl::string_view what, absl::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError(absl::StrCat("store: ", what, " is empty"));
  if (name.size() > Store::kMostNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "store: ", what, " of ", name.size(), " bytes, wanted at most ", Store::kMostNameBytes));
  }
  return absl::OkStatus();
}

absl::Status CheckStoreTtl(absl::string_view name, absl::Duration ttl) {
  if (ttl > absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("store: time to live of '", name, "' is ", absl::FormatDuration(ttl)));
}

absl::Status CheckStoreFields(absl::string_view name, absl::Span<const StoreField> fields,
                              int64_t least) {
  if (fields.size() > Store::kMostFields) {
    return absl::InvalidArgumentError(absl::StrCat("store: ", fields.size(), " fields of '", name,
                                                   "', wanted at most ", Store::kMostFields));
  }
  for (const StoreField& field : fields) {
    PENSTOCK_RETURN_IF_ERROR(CheckStoreName("field", field.field));
    if (field.value < least || field.value == std::numeric_limits<int64_t>::min()) {
      return absl::InvalidArgumentError(
          absl::StrCat("store: ", field.field, " of '", name, "' is ", field.value));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBudgetTake(const BudgetTake& take) {
  PENSTOCK_RETURN_IF_ERROR(CheckLease(take.name, take.owner));
  PENSTOCK_RETURN_IF_ERROR(CheckStoreTtl(take.name, take.ttl));
  const std::pair<const char*, int64_t> amounts[] = {{"cap", take.cap},
                                                     {"want", take.want},
                                                     {"granted", take.granted},
                                                     {"returned", take.returned},
                                                     {"settled", take.settled}};
  for (const auto& [what, value] : amounts) {
    if (value < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("store: ", what, " of budget '", take.name, "' is ", value));
    }
  }
  if (take.returned > take.granted) {
    return absl::InvalidArgumentError(absl::StrCat("store: of budget '", take.name, "' ",
                                                   take.returned, " were returned, of ",
                                                   take.granted, " granted"));
  }
  return absl::OkStatus();
}

absl::Status CheckLease(absl::string_view name, absl::string_view owner) {
  PENSTOCK_RETURN_IF_ERROR(CheckStoreName("name", name));
  PENSTOCK_RETURN_IF_ERROR(CheckStoreName("owner", owner));
  // The field adds two bytes.
  if (owner.size() + 2 > Store::kMostNameBytes) return CheckStoreName("owner", SettledField(owner));
  return absl::OkStatus();
}

}  // namespace penstock
