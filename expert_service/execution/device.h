#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::expert {

// What models run on.
struct Device {
  std::string description;  // "cpu (avx512)", "cuda"
  bool on_gpu = false;
};

// Sets the kernels' instruction set for the process: `kernels` as in the configuration. A CUDA
// device that is absent is served by the CPU, with a warning; other names that this machine cannot
// run are errors.
absl::StatusOr<Device> SelectDevice(absl::string_view kernels);

}  // namespace penstock::expert
