#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace penstock::expert {

// The part of NVIDIA's management library that is used. It comes with the driver and is opened at
// run time. Thread-safe, as NVML is.
class Nvml {
 public:
  struct Memory {
    uint64_t total_bytes = 0;
    uint64_t used_bytes = 0;
  };

  // NOT_FOUND: no library or no GPU; UNAVAILABLE: it does not start, or lacks what all need.
  static absl::StatusOr<std::shared_ptr<const Nvml>> Open();
  ~Nvml();

  size_t devices() const;
  const std::string& name(size_t device) const;
  // "GPU-" and 36 characters, or its number where the driver does not tell.
  const std::string& uuid(size_t device) const;

  // Each is UNAVAILABLE where the driver or the device does not tell it.
  // Since the driver was loaded (Volta and later).
  absl::StatusOr<uint64_t> Millijoules(size_t device) const;
  // Of the time since its last sample in which a kernel ran, in [0, 1].
  absl::StatusOr<double> Utilization(size_t device) const;
  absl::StatusOr<Memory> ReadMemory(size_t device) const;
  absl::StatusOr<double> Watts(size_t device) const;
  // That the driver keeps to.
  absl::StatusOr<double> WattsLimit(size_t device) const;

 private:
  struct Library;
  explicit Nvml(std::unique_ptr<Library> library);

  const std::unique_ptr<Library> library_;
};

}  // namespace penstock::expert
