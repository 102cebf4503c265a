#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tracing/span_batcher.h"
#include "penstock/config/v1/server.pb.h"

namespace penstock {

// `server.tracing`, with its defaults.
struct TracingOptions {
  bool on = false;  // there is a collector
  double sample_share = 0.01;
  double max_per_second = 100;
  SpanBatcher::Options batches;
  absl::Duration timeout = absl::Seconds(5);

  // INVALID_ARGUMENT names the field.
  static absl::StatusOr<TracingOptions> Read(const config::v1::Tracing& config);
};

}  // namespace penstock
