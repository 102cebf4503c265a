#include "common/metrics/service_registry.h"

#include <iterator>

namespace penstock {

std::vector<prometheus::MetricFamily> ServiceRegistry::Collect() const {
  std::vector<prometheus::MetricFamily> families = prometheus::Registry::Collect();
  MutexLock lock(mutex_);
  for (const prometheus::Collectable* asked : asked_) {
    std::vector<prometheus::MetricFamily> read = asked->Collect();
    families.insert(families.end(), std::make_move_iterator(read.begin()),
                    std::make_move_iterator(read.end()));
  }
  return families;
}

}  // namespace penstock
