#include "expert_service/metering/nvml.h"

#include <dlfcn.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

// NVML's C interface, as its documentation declares it.
using Device = void*;
constexpr int kSuccess = 0;
constexpr unsigned kTextBytes = 96;  // of a name, and of a UUID

struct UtilizationRates {
  unsigned gpu = 0;  // percent
  unsigned memory = 0;
};

struct MemoryInfo {
  unsigned long long total = 0;
  unsigned long long free = 0;
  unsigned long long used = 0;
};

}  // namespace

struct Nvml::Library {
  void* handle = nullptr;
  bool initialized = false;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*device_count)(unsigned*) = nullptr;
  int (*device_by_index)(unsigned, Device*) = nullptr;
  int (*device_name)(Device, char*, unsigned) = nullptr;
  const char* (*error_string)(int) = nullptr;
  // Null where the library is too old to have it.
  int (*device_uuid)(Device, char*, unsigned) = nullptr;
  int (*device_energy)(Device, unsigned long long*) = nullptr;  // millijoules
  int (*device_utilization)(Device, UtilizationRates*) = nullptr;
  int (*device_memory)(Device, MemoryInfo*) = nullptr;
  int (*device_power)(Device, unsigned*) = nullptr;        // milliwatts
  int (*device_power_limit)(Device, unsigned*) = nullptr;  // likewise
  std::vector<Device> devices;
  std::vector<std::string> names;
  std::vector<std::string> uuids;

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
    if (code == kSuccess) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(call, ": ", error_string(code)));
  }

  template <typename Answer>
  absl::StatusOr<Answer> Ask(const char* call, int (*function)(Device, Answer*),
                             size_t device) const {
    if (function == nullptr) {
      return absl::UnavailableError(absl::StrCat("libnvidia-ml.so.1 lacks ", call));
    }
    Answer answer{};
    PENSTOCK_RETURN_IF_ERROR(Check(call, function(devices[device], &answer)));
    return answer;
  }
};

Nvml::Nvml(std::unique_ptr<Library> library) : library_(std::move(library)) {}
Nvml::~Nvml() = default;

absl::StatusOr<std::shared_ptr<const Nvml>> Nvml::Open() {
  auto nvml = std::make_unique<Library>();
  nvml->handle = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (nvml->handle == nullptr) return absl::NotFoundError("libnvidia-ml.so.1 cannot be loaded");
  if (!nvml->Find("nvmlInit_v2", nvml->init) || !nvml->Find("nvmlShutdown", nvml->shutdown) ||
      !nvml->Find("nvmlDeviceGetCount_v2", nvml->device_count) ||
      !nvml->Find("nvmlDeviceGetHandleByIndex_v2", nvml->device_by_index) ||
      !nvml->Find("nvmlDeviceGetName", nvml->device_name) ||
      !nvml->Find("nvmlErrorString", nvml->error_string)) {
    return absl::UnavailableError("libnvidia-ml.so.1 lacks a function that is needed");
  }
  nvml->Find("nvmlDeviceGetUUID", nvml->device_uuid);
  nvml->Find("nvmlDeviceGetTotalEnergyConsumption", nvml->device_energy);
  nvml->Find("nvmlDeviceGetUtilizationRates", nvml->device_utilization);
  nvml->Find("nvmlDeviceGetMemoryInfo", nvml->device_memory);
  nvml->Find("nvmlDeviceGetPowerUsage", nvml->device_power);
  nvml->Find("nvmlDeviceGetEnforcedPowerLimit", nvml->device_power_limit);
  PENSTOCK_RETURN_IF_ERROR(nvml->Check("nvmlInit", nvml->init()));
  nvml->initialized = true;
  unsigned count = 0;
  PENSTOCK_RETURN_IF_ERROR(nvml->Check("nvmlDeviceGetCount", nvml->device_count(&count)));
  if (count == 0) return absl::NotFoundError("NVML sees no GPU");
  for (unsigned i = 0; i < count; ++i) {
    Device device = nullptr;
    char name[kTextBytes] = {};
    char uuid[kTextBytes] = {};
    PENSTOCK_RETURN_IF_ERROR(
        nvml->Check("nvmlDeviceGetHandleByIndex", nvml->device_by_index(i, &device)));
    PENSTOCK_RETURN_IF_ERROR(
        nvml->Check("nvmlDeviceGetName", nvml->device_name(device, name, kTextBytes)));
    const bool told = nvml->device_uuid != nullptr &&
                      nvml->device_uuid(device, uuid, kTextBytes) == kSuccess;
    nvml->devices.push_back(device);
    nvml->names.emplace_back(name);
    nvml->uuids.push_back(told ? uuid : absl::StrCat(i));
  }
  return std::shared_ptr<const Nvml>(new Nvml(std::move(nvml)));
}

size_t Nvml::devices() const { return library_->devices.size(); }
const std::string& Nvml::name(size_t device) const { return library_->names[device]; }
const std::string& Nvml::uuid(size_t device) const { return library_->uuids[device]; }

absl::StatusOr<uint64_t> Nvml::Millijoules(size_t device) const {
  PENSTOCK_ASSIGN_OR_RETURN(const unsigned long long millijoules,
                            library_->Ask("nvmlDeviceGetTotalEnergyConsumption",
                                          library_->device_energy, device));
  return static_cast<uint64_t>(millijoules);
}

absl::StatusOr<double> Nvml::Utilization(size_t device) const {
  PENSTOCK_ASSIGN_OR_RETURN(const UtilizationRates rates,
                            library_->Ask("nvmlDeviceGetUtilizationRates",
                                          library_->device_utilization, device));
  return rates.gpu / 100.0;
}

absl::StatusOr<Nvml::Memory> Nvml::ReadMemory(size_t device) const {
  PENSTOCK_ASSIGN_OR_RETURN(
      const MemoryInfo info,
      library_->Ask("nvmlDeviceGetMemoryInfo", library_->device_memory, device));
  return Memory{info.total, info.used};
}

absl::StatusOr<double> Nvml::Watts(size_t device) const {
  PENSTOCK_ASSIGN_OR_RETURN(
      const unsigned milliwatts,
      library_->Ask("nvmlDeviceGetPowerUsage", library_->device_power, device));
  return milliwatts / 1000.0;
}

absl::StatusOr<double> Nvml::WattsLimit(size_t device) const {
  PENSTOCK_ASSIGN_OR_RETURN(const unsigned milliwatts,
                            library_->Ask("nvmlDeviceGetEnforcedPowerLimit",
                                          library_->device_power_limit, device));
  return milliwatts / 1000.0;
}

}  // namespace penstock::expert
