#pragma once

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "common/net/caller_policy.h"
#include "common/net/infer_call.h"
#include "common/net/oip/oip_control.h"
#include "common/net/oip/open_streams.h"

namespace prometheus {
class Counter;
}  // namespace prometheus

namespace penstock {

class InferStream;

// What the calls of one server share.
struct OipCore {
  InferHandler* handler = nullptr;
  OipControl* control = nullptr;
  const CallerPolicy* callers = nullptr;
  int max_stream_outstanding = 0;

  void Accepted();
  void Answered(uint64_t calls = 1);
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> answered{0};
  prometheus::Counter* accepted_total = nullptr;  // null: not exported
  prometheus::Counter* answered_total = nullptr;

  OpenStreams<InferStream> streams;
};

// What a call that the handler let go of unfinished is answered with.
absl::Status DroppedCall();

}  // namespace penstock
