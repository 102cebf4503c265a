#include "common/net/tracing/otlp_exporter.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/logging/log.h"
#include "common/net/connection_limits.h"
#include "common/net/tls.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

using opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse;

const std::string& ExportMethod() {
  static const auto& method =
      *new std::string("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
  return method;
}

grpc::ChannelArguments CollectorArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  // One that is back is found within seconds, whose spans alone are lost.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  return arguments;
}

absl::Status Named(const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), "server.tracing.collector." + std::string(status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<OtlpExporter>> OtlpExporter::Create(
    const config::v1::Endpoint& collector, absl::Duration timeout, TracedService service,
    const Clock& clock) {
  const auto credentials = MakeChannelCredentials(collector);
  PENSTOCK_RETURN_IF_ERROR(Named(credentials.status()));
  // A collector is somebody else's, and what it takes for too many pings is not known.
  const auto keepalive = ClientKeepalive::Read(collector, /*permitted=*/false);
  PENSTOCK_RETURN_IF_ERROR(Named(keepalive.status()));
  grpc::ChannelArguments arguments = CollectorArguments();
  keepalive->Apply(arguments);
  return std::unique_ptr<OtlpExporter>(
      new OtlpExporter(grpc::CreateCustomChannel(collector.address(), *credentials, arguments),
                       collector.address(), timeout, std::move(service), clock));
}

OtlpExporter::OtlpExporter(std::shared_ptr<grpc::Channel> channel, std::string address,
                           absl::Duration timeout, TracedService service, const Clock& clock)
    : address_(std::move(address)),
      timeout_(timeout),
      service_(std::move(service)),
      clock_(clock),
      queues_(1),
      rpc_(std::move(channel), queues_) {}

void OtlpExporter::Export(SpanBatch batch, Done done) {
  CallOptions options;
  options.deadline = clock_.Now() + timeout_;
  rpc_.Call<ExportTraceServiceResponse>(
      ExportMethod(), EncodeSpans(service_, batch), options,
      [this, done = std::move(done)](absl::StatusOr<ExportTraceServiceResponse> response) mutable {
        LogAnswer(response.status());
        if (!response.ok()) return done(response.status(), 0);
        const int64_t rejected = response->partial_success().rejected_spans();
        done(absl::OkStatus(), static_cast<uint64_t>(std::max<int64_t>(0, rejected)));
      });
}

void OtlpExporter::LogAnswer(const absl::Status& status) {
  const bool away = !status.ok();
  if (away == told_away_) return;
  told_away_ = away;
  if (away) {
    LogWarning("collector")
        .With("address", address_)
        .With("connected", false)
        .With("code", absl::StatusCodeToString(status.code()))
        .With("reason", status.message());
  } else {
    LogInfo("collector").With("address", address_).With("connected", true);
  }
}

}  // namespace penstock
