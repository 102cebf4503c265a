#pragma once

#include <memory>

#include "absl/time/time.h"
#include "router_service/recording/decision_writer.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

// How the folder of the decision log keeps up. Used by one thread at a time.
class DecisionLogMetrics {
 public:
  explicit DecisionLogMetrics(prometheus::Registry& registry);
  ~DecisionLogMetrics();
  // Once in a while. A disk that fails is told in the process's log too, once a minute at most.
  void Update(const DecisionWriter::State& state, absl::Time now);

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
  DecisionWriter::State told_;  // as of the last update
  absl::Time next_warning_ = absl::InfinitePast();
};

}  // namespace penstock::router
