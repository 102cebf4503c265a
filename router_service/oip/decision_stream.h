#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>
#include <vector>

#include "common/mutex.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/recording/decision_log.h"

namespace penstock::router {

// The watchers of decisions. A stream ends when its client leaves or the service drains. Thread-safe.
class DecisionStreams {
 public:
  explicit DecisionStreams(DecisionLog& log) : log_(log) {}

  // A reactor that writes every decision of `pool` (empty: all) from here on.
  grpc::ServerWriteReactor<v1::Decision>* Open(const std::string& pool);
  // A stream that says why it ends before it began.
  static grpc::ServerWriteReactor<v1::Decision>* Refuse(const absl::Status& status);
  // Ends all streams, and refuses later ones.
  void EndAll();

 private:
  class Stream;

  DecisionLog& log_;
  Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::weak_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
