#pragma once

#include "absl/time/time.h"

namespace penstock {

// Time comes through constructors, so that tests and replays state it.
class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back.
  virtual absl::Time Now() const = 0;
};

// Wall time at construction plus steady time since, so that a step of the wall clock moves no deadline.
class RealClock final : public Clock {
 public:
  RealClock();
  absl::Time Now() const override;

 private:
  const absl::Time wall_start_;
  const int64_t steady_start_ns_;
};

}  // namespace penstock
