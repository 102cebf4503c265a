#include "expert_service/execution/device.h"

#include "absl/strings/str_cat.h"
#include "common/logging/log.h"
#include "kernels/device/isa.h"

namespace penstock::expert {
namespace {

std::string CpuDescription() {
  const std::string_view isa = kernels::IsaName(kernels::IsaLimit());
  return absl::StrCat("cpu (", absl::string_view(isa.data(), isa.size()), ")");
}

}  // namespace

absl::StatusOr<Device> SelectDevice(absl::string_view kernels) {
  const kernels::Status status =
      kernels::ForceIsa(std::string_view(kernels.data(), kernels.size()));
  if (status.ok()) {
    if (kernels == "cuda") return Device{"cuda", true};
    return Device{CpuDescription(), false};
  }
  if (kernels == "cuda" && status.code == kernels::Code::kUnsupported) {
    if (const kernels::Status automatic = kernels::ForceIsa(""); !automatic.ok()) {
      return absl::InternalError(automatic.message);
    }
    Device device{CpuDescription(), false};
    LogWarning("device")
        .With("wanted", "cuda")
        .With("used", device.description)
        .With("reason", "no CUDA device or built without CUDA");
    return device;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "execution.kernels is \"", kernels, "\", wanted one of \"\", \"reference\", \"avx2\", ",
      "\"avx512\", \"cuda\" that this machine can run"));
}

}  // namespace penstock::expert
