#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"

namespace penstock::expert {

// CPU and memory of the whole machine, as Linux tells them; unset: it does not. Thread-safe.
class HostUsage {
 public:
  // A share of the CPU over less time would be noise.
  static constexpr absl::Duration kMinPeriod = absl::Milliseconds(500);

  struct Reading {
    std::optional<double> cpu;  // share of its time that was not idle, of late
    std::optional<uint64_t> memory_total_bytes;
    std::optional<uint64_t> memory_used_bytes;  // what nobody could have who asked for it
  };

  // `proc`: where /proc is, for tests. `clock` outlives it.
  explicit HostUsage(const Clock& clock, std::string proc = "/proc");

  Reading Read();

 private:
  struct CpuTime {
    uint64_t busy = 0;
    uint64_t all = 0;
  };
  std::optional<CpuTime> ReadCpu() const;

  const Clock& clock_;
  const std::string proc_;
  Mutex mutex_;
  absl::Time cpu_at_ ABSL_GUARDED_BY(mutex_);
  std::optional<CpuTime> cpu_ ABSL_GUARDED_BY(mutex_);  // at cpu_at_
  std::optional<double> share_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::expert
