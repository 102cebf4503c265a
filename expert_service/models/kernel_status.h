#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "kernels/device/status.h"

namespace penstock::expert {

// Shapes were checked at load and on arrival, so a kernel that refuses is our error.
inline absl::Status FromKernel(absl::string_view op, const kernels::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(op, ": ", status.message));
}

}  // namespace penstock::expert
