#include "tests/integration/fake_collector.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"

namespace penstock {
namespace {

namespace otlp = opentelemetry::proto;

const otlp::common::v1::AnyValue* Find(const otlp::trace::v1::Span& span, const std::string& key) {
  for (const auto& attribute : span.attributes()) {
    if (attribute.key() == key) return &attribute.value();
  }
  return nullptr;
}

std::string ServiceOf(const otlp::trace::v1::ResourceSpans& spans) {
  for (const auto& attribute : spans.resource().attributes()) {
    if (attribute.key() == "service.name") return attribute.value().string_value();
  }
  return "";
}

}  // namespace

std::string CollectedSpan::Text(const std::string& key) const {
  const auto* value = Find(span, key);
  return value == nullptr ? "" : value->string_value();
}
int64_t CollectedSpan::Count(const std::string& key) const {
  const auto* value = Find(span, key);
  return value == nullptr ? 0 : value->int_value();
}
double CollectedSpan::Number(const std::string& key) const {
  const auto* value = Find(span, key);
  return value == nullptr ? 0 : value->double_value();
}
bool CollectedSpan::failed() const {
  return span.status().code() == otlp::trace::v1::Status::STATUS_CODE_ERROR;
}

class FakeCollector::Service final : public otlp::collector::trace::v1::TraceService::Service {
 public:
  grpc::Status Export(grpc::ServerContext* context,
                      const otlp::collector::trace::v1::ExportTraceServiceRequest* request,
                      otlp::collector::trace::v1::ExportTraceServiceResponse*) override {
    MutexLock lock(mutex_);
    while (holding_ && !ending_ && !context->IsCancelled()) {
      changed_.WaitFor(mutex_, absl::Milliseconds(10));
    }
    for (const auto& spans : request->resource_spans()) {
      for (const auto& scope : spans.scope_spans()) {
        for (const auto& span : scope.spans()) spans_.push_back({ServiceOf(spans), span});
      }
    }
    return grpc::Status::OK;
  }

  void Hold() {
    MutexLock lock(mutex_);
    holding_ = true;
  }
  void End() {
    MutexLock lock(mutex_);
    ending_ = true;
    changed_.NotifyAll();
  }
  std::vector<CollectedSpan> spans() const {
    MutexLock lock(mutex_);
    return spans_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<CollectedSpan> spans_ ABSL_GUARDED_BY(mutex_);
};

FakeCollector::FakeCollector() : service_(std::make_unique<Service>()) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  EXPECT_NE(server_, nullptr);
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeCollector::~FakeCollector() {
  service_->End();
  if (server_ != nullptr) server_->Shutdown();
}

void FakeCollector::Hold() { service_->Hold(); }

std::vector<CollectedSpan> FakeCollector::All() const { return service_->spans(); }

std::vector<CollectedSpan> FakeCollector::Which(
    const std::function<bool(const CollectedSpan&)>& wanted) const {
  std::vector<CollectedSpan> found;
  for (CollectedSpan& span : service_->spans()) {
    if (wanted(span)) found.push_back(std::move(span));
  }
  return found;
}

std::vector<CollectedSpan> FakeCollector::OfTrace(const std::string& trace_id) const {
  return Which([&](const CollectedSpan& span) { return span.span.trace_id() == trace_id; });
}

std::vector<CollectedSpan> FakeCollector::With(const std::string& key,
                                               const std::string& text) const {
  return Which([&](const CollectedSpan& span) { return span.Text(key) == text; });
}

}  // namespace penstock
