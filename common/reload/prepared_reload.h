#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace penstock {

// A configuration that was checked and built beside the one that serves. Dropped, it leaves nothing
// behind.
struct PreparedReload {
  // What would be otherwise, for people: fields, pools, models. Empty: nothing.
  std::vector<std::string> changes;
  // Makes it serve; cannot fail. At most once.
  absl::AnyInvocable<void()> commit;
};

}  // namespace penstock
