#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/net/rpc/client_queues.h"
#include "common/net/rpc/rpc_client.h"
#include "common/time/clock.h"
#include "common/tracing/otlp_encoding.h"
#include "common/tracing/span_batcher.h"
#include "penstock/config/v1/server.pb.h"

namespace penstock {

// Sends batches to a collector over OTLP/gRPC, from a thread of its own. A collector that is away
// fails at once, one that is silent after the timeout; neither is asked again for the same spans.
// That it went or came back is logged. One batch at a time.
class OtlpExporter final : public SpanExporter {
 public:
  // INVALID_ARGUMENT names the endpoint's field that is wrong. `clock` outlives the exporter.
  static absl::StatusOr<std::unique_ptr<OtlpExporter>> Create(const config::v1::Endpoint& collector,
                                                              absl::Duration timeout,
                                                              TracedService service,
                                                              const Clock& clock);
  // Cancels what is under way, whose `done` runs first.
  ~OtlpExporter() override = default;

  void Export(SpanBatch batch, Done done) override;

 private:
  OtlpExporter(std::shared_ptr<grpc::Channel> channel, std::string address, absl::Duration timeout,
               TracedService service, const Clock& clock);

  void LogAnswer(const absl::Status& status);

  const std::string address_;
  const absl::Duration timeout_;
  const TracedService service_;
  const Clock& clock_;
  bool told_away_ = false;  // in the process's log; of the batch under way
  ClientQueues queues_;
  const RpcClient rpc_;
};

}  // namespace penstock
