#include "router_service/planning/live/resident_switch.h"

namespace penstock::router {

bool ResidentSwitch::Pays(double gain_per_s, double cost) const {
  if (changed_at_ && clock_.Now() - *changed_at_ < options_.least_dwell) return false;
  return gain_per_s * absl::ToDoubleSeconds(expected_) > cost;
}

void ResidentSwitch::Changed() {
  const absl::Time now = clock_.Now();
  if (changed_at_) {
    expected_ =
        (1 - options_.dwell_weight) * expected_ + options_.dwell_weight * (now - *changed_at_);
  }
  changed_at_ = now;
}

}  // namespace penstock::router
