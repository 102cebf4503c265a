#include "common/time/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace penstock {
namespace {

int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

RealClock::RealClock() : wall_start_(absl::Now()), steady_start_ns_(SteadyNanoseconds()) {}

absl::Time RealClock::Now() const {
  return wall_start_ + absl::Nanoseconds(SteadyNanoseconds() - steady_start_ns_);
}

}  // namespace penstock
