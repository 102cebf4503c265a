#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock::router {

// How joules are known, weakest first.
enum class EnergyMethod { kUnknown = 0, kModelled = 1, kSampled = 2, kCounter = 3 };

inline constexpr size_t kEnergyMethods = 4;

absl::string_view EnergyMethodName(EnergyMethod method);
// kUnknown for any other name.
EnergyMethod ParseEnergyMethod(absl::string_view name);

// Joules of one request, summed over all attempts: winners, losers, retries and cancelled work.
// Mixed methods report the weakest.
class EnergyTally {
 public:
  void Add(double joules, EnergyMethod method) {
    joules_ += joules;
    if (!any_ || method < method_) method_ = method;
    any_ = true;
  }
  void Add(const EnergyTally& other) {
    if (other.any_) Add(other.joules_, other.method_);
  }
  double joules() const { return joules_; }
  // Modelled where nothing ran: that nothing was used needs no meter.
  EnergyMethod method() const { return any_ ? method_ : EnergyMethod::kModelled; }

 private:
  double joules_ = 0;
  bool any_ = false;
  EnergyMethod method_ = EnergyMethod::kModelled;
};

}  // namespace penstock::router
