#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "expert_service/models/block_chain.h"

namespace penstock::expert {

// What happens to requests, for metrics. Methods are called from many threads and must not block.
class ExpertEvents {
 public:
  virtual ~ExpertEvents() = default;
  // `model` is a served model's name, or empty where a request named none.
  virtual void RequestAnswered(const std::string& model, absl::StatusCode code,
                               absl::Duration latency) {}
  // `cpu`: what the worker's thread and those that helped it spent.
  virtual void BatchExecuted(const std::string& model, int64_t rows, int64_t requests,
                             absl::Duration took, absl::Duration cpu) {}
  // Of an execution of any model, in order.
  virtual void BlocksExecuted(absl::Span<const BlockCost> blocks) {}
  // Of an execution: rows that ended at the exit which is block `block` of the model.
  virtual void RowsEnded(const std::string& model, size_t block, int64_t rows) {}
  // Of a request of an execution: how long it had waited for it, and the joules that its trailers
  // tell; whoever went away in the meantime is included.
  virtual void RequestExecuted(const std::string& model, absl::Duration waited, double joules) {}
};

}  // namespace penstock::expert
