#include "expert_service/metering/energy_sampler.h"

namespace penstock::expert {

EnergySampler::EnergySampler(EnergyMeter& meter, const Clock& clock, absl::Duration period)
    : meter_(meter), clock_(clock), period_(period), thread_([this] { Run(); }) {}

EnergySampler::~EnergySampler() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void EnergySampler::Run() {
  for (;;) {
    meter_.Sample(clock_.Now());
    MutexLock lock(mutex_);
    if (!stopping_) wake_.WaitFor(mutex_, period_);
    if (stopping_) return;
  }
}

}  // namespace penstock::expert
