#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "expert_service/metering/energy_counter.h"

namespace penstock::expert {

// A counter under the test's hand.
class FakeCounter final : public EnergyCounter {
 public:
  explicit FakeCounter(uint64_t range_microjoules = 0) : range_(range_microjoules) {}

  void AddJoules(double joules) { value_ += static_cast<uint64_t>(joules * 1e6 + 0.5); }
  void Set(uint64_t microjoules) { value_ = microjoules; }
  void Fail(bool fails) { fails_ = fails; }

  absl::StatusOr<std::vector<CounterReading>> Read() override {
    if (fails_) return absl::UnavailableError("broken");
    return std::vector<CounterReading>{{range_ == 0 ? value_ : value_ % (range_ + 1), range_}};
  }
  std::string description() const override { return "fake"; }

 private:
  const uint64_t range_;
  uint64_t value_ = 0;
  bool fails_ = false;
};

}  // namespace penstock::expert
