#include "common/net/tracing/otlp_exporter.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/tls.h"
#include "common/notification.h"
#include "common/time/clock.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"
#include "tests/common_net/certificates.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

namespace collector = opentelemetry::proto::collector::trace::v1;
using testing::HasSubstr;

// Takes all but `rejected` of what it is sent, or nothing while it is silent.
class Collector final : public collector::TraceService::Service {
 public:
  explicit Collector(const config::v1::Tls& tls) {
    auto credentials = MakeServerCredentials(tls);
    EXPECT_THAT(credentials.status(), IsOk());
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", *credentials, &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Collector() override {
    ending_.Notify();
    server_->Shutdown();
  }

  grpc::Status Export(grpc::ServerContext*, const collector::ExportTraceServiceRequest* request,
                      collector::ExportTraceServiceResponse* response) override {
    if (silent) ending_.Wait();
    service_name = request->resource_spans(0).resource().attributes(1).value().string_value();
    response->mutable_partial_success()->set_rejected_spans(rejected);
    return grpc::Status::OK;
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  bool silent = false;
  int64_t rejected = 0;
  std::string service_name;

 private:
  int port_ = 0;
  Notification ending_;
  std::unique_ptr<grpc::Server> server_;
};

struct Answer {
  absl::Status status;
  uint64_t rejected = 0;
};

class OtlpExporterTest : public ::testing::Test {
 protected:
  Answer Export(const config::v1::Endpoint& endpoint,
                absl::Duration timeout = absl::Seconds(20)) const {
    auto exporter = OtlpExporter::Create(endpoint, timeout, {"penstock-test", "1", "i"}, clock_);
    if (!exporter.ok()) return {exporter.status()};
    SpanBatch batch;
    batch.push_back(std::make_unique<SpanRecord>());
    Answer answer;
    Notification done;
    (*exporter)->Export(std::move(batch), [&](absl::Status status, uint64_t rejected) {
      answer = {std::move(status), rejected};
      done.Notify();
    });
    done.Wait();
    return answer;
  }
  static config::v1::Endpoint At(const Collector& collector) {
    config::v1::Endpoint endpoint;
    endpoint.set_address(collector.address());
    return endpoint;
  }

  const RealClock clock_;
};

TEST_F(OtlpExporterTest, SendsSpansUnderTheServicesName) {
  Collector collector({});
  EXPECT_THAT(Export(At(collector)).status, IsOk());
  EXPECT_EQ(collector.service_name, "penstock-test");
}

TEST_F(OtlpExporterTest, TellsHowManyWereRejected) {
  Collector collector({});
  collector.rejected = 1;
  const Answer answer = Export(At(collector));
  EXPECT_THAT(answer.status, IsOk());
  EXPECT_EQ(answer.rejected, 1u);
}

TEST_F(OtlpExporterTest, GivesUpASilentCollectorAfterTheTimeout) {
  Collector collector({});
  collector.silent = true;
  EXPECT_THAT(Export(At(collector), absl::Milliseconds(50)).status,
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(OtlpExporterTest, SaysAtOnceThatACollectorIsAway) {
  config::v1::Endpoint nobody;
  {
    const Collector gone({});
    nobody = At(gone);
  }
  EXPECT_THAT(Export(nobody).status, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(OtlpExporterTest, ShowsItsCertificateToACollectorThatWantsOne) {
  const Certificates certificates;
  config::v1::Tls tls;
  tls.set_certificate_file(certificates.File("server.pem"));
  tls.set_key_file(certificates.File("server.key"));
  tls.set_client_ca_file(certificates.File("ca.pem"));
  Collector collector(tls);
  config::v1::Endpoint endpoint = At(collector);
  EXPECT_THAT(Export(endpoint).status, StatusIs(absl::StatusCode::kUnavailable));
  endpoint.set_ca_file(certificates.File("ca.pem"));
  EXPECT_THAT(Export(endpoint).status, StatusIs(absl::StatusCode::kUnavailable));
  endpoint.set_certificate_file(certificates.File("gateway-1.pem"));
  endpoint.set_key_file(certificates.File("gateway-1.key"));
  EXPECT_THAT(Export(endpoint).status, IsOk());
}

TEST_F(OtlpExporterTest, NamesTheFieldOfAFileThatIsNotThere) {
  config::v1::Endpoint endpoint;
  endpoint.set_address("127.0.0.1:1");
  endpoint.set_ca_file("/nowhere/ca.pem");
  EXPECT_THAT(Export(endpoint).status, StatusIs(absl::StatusCode::kInvalidArgument,
                                                HasSubstr("server.tracing.collector.ca_file")));
}

}  // namespace
}  // namespace penstock
