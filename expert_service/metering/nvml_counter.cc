#include "expert_service/metering/nvml_counter.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

// The part of NVML's C interface that is used, as its documentation declares it.
using Device = void*;
constexpr int kNvmlSuccess = 0;
constexpr unsigned kNameBytes = 96;

}  // namespace

struct NvmlCounter::Library {
  void* handle = nullptr;
  bool initialized = false;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*device_count)(unsigned*) = nullptr;
  int (*device_by_index)(unsigned, Device*) = nullptr;
  int (*device_name)(Device, char*, unsigned) = nullptr;
  int (*device_energy)(Device, unsigned long long*) = nullptr;  // millijoules
  const char* (*error_string)(int) = nullptr;
  std::vector<Device> devices;
  std::vector<std::string> names;

  ~Library() {
    if (initialized) shutdown();
    if (handle != nullptr) dlclose(handle);
  }

  template <typename Function>
  bool Find(const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    return function != nullptr;
  }

  absl::Status Check(const char* call, int code) const {
    if (code == kNvmlSuccess) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(call, ": ", error_string(code)));
  }
};

NvmlCounter::NvmlCounter(std::unique_ptr<Library> library) : library_(std::move(library)) {}
NvmlCounter::~NvmlCounter() = default;

absl::StatusOr<std::unique_ptr<NvmlCounter>> NvmlCounter::Open() {
  auto nvml = std::make_unique<Library>();
  nvml->handle = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (nvml->handle == nullptr) return absl::NotFoundError("libnvidia-ml.so.1 cannot be loaded");
  if (!nvml->Find("nvmlInit_v2", nvml->init) || !nvml->Find("nvmlShutdown", nvml->shutdown) ||
      !nvml->Find("nvmlDeviceGetCount_v2", nvml->device_count) ||
      !nvml->Find("nvmlDeviceGetHandleByIndex_v2", nvml->device_by_index) ||
      !nvml->Find("nvmlDeviceGetName", nvml->device_name) ||
      !nvml->Find("nvmlDeviceGetTotalEnergyConsumption", nvml->device_energy) ||
      !nvml->Find("nvmlErrorString", nvml->error_string)) {
    return absl::UnavailableError("libnvidia-ml.so.1 lacks a function that is needed");
  }
  PENSTOCK_RETURN_IF_ERROR(nvml->Check("nvmlInit", nvml->init()));
  nvml->initialized = true;
  unsigned count = 0;
  PENSTOCK_RETURN_IF_ERROR(nvml->Check("nvmlDeviceGetCount", nvml->device_count(&count)));
  if (count == 0) return absl::NotFoundError("NVML sees no GPU");
  for (unsigned i = 0; i < count; ++i) {
    Device device = nullptr;
    char name[kNameBytes] = {};
    unsigned long long energy = 0;
    PENSTOCK_RETURN_IF_ERROR(
        nvml->Check("nvmlDeviceGetHandleByIndex", nvml->device_by_index(i, &device)));
    PENSTOCK_RETURN_IF_ERROR(
        nvml->Check("nvmlDeviceGetName", nvml->device_name(device, name, kNameBytes)));
    PENSTOCK_RETURN_IF_ERROR(
        nvml->Check("nvmlDeviceGetTotalEnergyConsumption", nvml->device_energy(device, &energy)));
    nvml->devices.push_back(device);
    nvml->names.emplace_back(name);
  }
  return std::unique_ptr<NvmlCounter>(new NvmlCounter(std::move(nvml)));
}

absl::StatusOr<std::vector<CounterReading>> NvmlCounter::Read() {
  std::vector<CounterReading> readings;
  for (Device device : library_->devices) {
    unsigned long long millijoules = 0;
    PENSTOCK_RETURN_IF_ERROR(library_->Check("nvmlDeviceGetTotalEnergyConsumption",
                                             library_->device_energy(device, &millijoules)));
    readings.push_back({static_cast<uint64_t>(millijoules) * 1000, 0});
  }
  return readings;
}

std::string NvmlCounter::description() const {
  return absl::StrCat("nvml ", absl::StrJoin(library_->names, "+"));
}

}  // namespace penstock::expert
