#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/time/clock.h"
#include "expert_service/metering/nvml.h"

namespace penstock::expert {

// What a GPU tells of itself; unset: it does not.
struct GpuReading {
  std::string uuid;
  std::optional<double> utilization;  // in [0, 1]
  std::optional<Nvml::Memory> memory;
  std::optional<double> watts;
  std::optional<double> watts_limit;
  std::optional<double> joules;  // since the watch began
};

// All GPUs of the machine. Each call of NVML may take milliseconds, so readings are kept for
// kMaxAge however often they are asked for, and nothing is read that nobody asks for. Where the
// driver hangs, a call does not return: a thread of its own makes them, one reading at a time, and
// nobody waits for it longer than `patience`. Thread-safe.
class GpuWatch {
 public:
  static constexpr absl::Duration kMaxAge = absl::Milliseconds(500);
  // Far beyond what a driver needs, and well within a scrape's time-out.
  static constexpr absl::Duration kPatience = absl::Seconds(1);

  // `clock` outlives the watch.
  GpuWatch(std::shared_ptr<const Nvml> nvml, const Clock& clock,
           absl::Duration patience = kPatience);
  ~GpuWatch();

  // Empty while the driver does not answer.
  std::vector<GpuReading> Read();

 private:
  struct State;

  const Clock& clock_;
  const std::shared_ptr<State> state_;  // a thread that hangs keeps it
};

}  // namespace penstock::expert
