#pragma once

#include <memory>
#include <string>

#include "common/net/oip/open_streams.h"
#include "common/net/rpc/server_rpc.h"
#include "router_service/recording/decision_log.h"

namespace penstock::router {

// The watchers of decisions. A stream ends when its client leaves or the service drains.
// Thread-safe.
class DecisionStreams {
 public:
  explicit DecisionStreams(DecisionLog& log) : log_(log) {}

  // Writes every decision of `pool` (empty: all) from here on.
  void Open(std::unique_ptr<RpcArrival> arrival, const std::string& pool);
  // Ends all streams, and later ones at once.
  void EndAll();

 private:
  class Stream;

  DecisionLog& log_;
  OpenStreams<Stream> streams_;
};

}  // namespace penstock::router
