#include "absl/strings/str_cat.h"
#include "common/store/memory_store.h"
#include "common/store/store.h"

namespace penstock {

absl::StatusOr<std::unique_ptr<Store>> MakeStore(absl::string_view uri, const Clock& clock) {
  if (uri.empty() || uri == "memory://") return std::make_unique<MemoryStore>(clock);
  return absl::InvalidArgumentError(
      absl::StrCat("store '", uri, "' is not supported, wanted memory://"));
}

}  // namespace penstock
