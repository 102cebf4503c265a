#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <memory>
#include <vector>

#include "common/mutex.h"

namespace penstock {

// A registry that has, beside what is counted, what is read when it is scraped. Thread-safe.
class ServiceRegistry final : public prometheus::Registry {
 public:
  // While it lives a collectable is asked; its end waits for a scrape that is asking.
  class Place {
   public:
    Place(ServiceRegistry& registry, const prometheus::Collectable& asked)
        : registry_(registry), asked_(asked) {
      MutexLock lock(registry_.mutex_);
      registry_.asked_.push_back(&asked_);
    }
    ~Place() {
      MutexLock lock(registry_.mutex_);
      std::erase(registry_.asked_, &asked_);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    ServiceRegistry& registry_;
    const prometheus::Collectable& asked_;
  };

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  mutable Mutex mutex_;
  std::vector<const prometheus::Collectable*> asked_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
