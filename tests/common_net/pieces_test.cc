#include <gmock/gmock.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <fstream>
#include <string>
#include <thread>

#include "common/metrics/metrics_server.h"
#include "common/metrics/process.h"
#include "common/net/admin_audit.h"
#include "common/net/grpc_bytes.h"
#include "common/net/grpc_status.h"
#include "common/net/orca.h"
#include "common/net/service_main.h"
#include "penstock/config/v1/expert.pb.h"
#include "tests/support/captured_log.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;
using xds::data::orca::v3::OrcaLoadReport;

TEST(GrpcBytesTest, LargePiecesAreSharedBothWays) {
  const Bytes bytes(std::string(10000, 'x'));
  grpc::ByteBuffer buffer = ToByteBuffer(bytes);
  const Bytes back = FromByteBuffer(buffer);
  ASSERT_EQ(back.pieces().size(), 1u);
  EXPECT_EQ(back.pieces()[0].data.data(), bytes.pieces()[0].data.data());
}

TEST(GrpcBytesTest, BytesOutliveTheBuffer) {
  Bytes bytes;
  {
    grpc::Slice slice(std::string(5000, 'y'));
    grpc::ByteBuffer buffer(&slice, 1);
    bytes = FromByteBuffer(buffer);
  }
  EXPECT_EQ(bytes.ToString(), std::string(5000, 'y'));
}

TEST(GrpcBytesTest, AnEmptyMessageIsAMessage) {
  EXPECT_TRUE(ToByteBuffer(Bytes()).Valid());
  EXPECT_EQ(ToByteBuffer(Bytes()).Length(), 0u);
  EXPECT_TRUE(FromByteBuffer(grpc::ByteBuffer()).empty());
}

TEST(GrpcBytesTest, SmallNeighboursAreGathered) {
  Bytes bytes;
  for (int i = 0; i < 10; ++i) bytes.Append(std::string(10, static_cast<char>('a' + i)));
  grpc::ByteBuffer buffer = ToByteBuffer(bytes);
  const Bytes back = FromByteBuffer(buffer);
  EXPECT_EQ(back, bytes);
  EXPECT_EQ(back.pieces().size(), 1u);
}

TEST(GrpcStatusTest, CodesMapOneToOne) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status there = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(there.error_code()), code);
    EXPECT_EQ(FromGrpcStatus(there), status);
    EXPECT_EQ(StatusCodeName(status.code()), absl::StatusCodeToString(status.code()));
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status()).ok());
  EXPECT_EQ(FromGrpcStatus(grpc::Status(static_cast<grpc::StatusCode>(20), "")).code(),
            absl::StatusCode::kUnknown);
}

TEST(OrcaTest, IsWrittenUnderBothKeysAndReadUnderEither) {
  OrcaLoadReport report;
  report.set_application_utilization(0.5);
  (*report.mutable_request_cost())["joules"] = 1.25;
  Metadata trailers = {{"other", "x"}};
  SetOrcaReport(report, trailers);
  SetOrcaReport(report, trailers);
  ASSERT_EQ(trailers.size(), 3u);
  for (const absl::string_view key : {kOrcaKey, kOrcaKeyOfOurs}) {
    const Metadata alone = {{std::string(key), std::string(FindMetadata(trailers, key))}};
    const auto found = FindOrcaReport(alone);
    ASSERT_TRUE(found.has_value()) << std::string(key);
    EXPECT_EQ(found->request_cost().at("joules"), 1.25);
  }
}

TEST(OrcaTest, NothingAndGarbageAreNoReport) {
  EXPECT_FALSE(FindOrcaReport({}).has_value());
  EXPECT_FALSE(FindOrcaReport({{std::string(kOrcaKey), "\xFF\xFF"}}).has_value());
}

struct Parsed {
  std::optional<int> code;
  config::v1::Expert config;
  std::string out, err;
};

Parsed Parse(std::vector<std::string> arguments,
             const std::function<absl::Status()>& validate = {},
             const std::function<absl::Status()>& check_files = {}) {
  arguments.insert(arguments.begin(), "penstock-expert");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  Parsed parsed;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  parsed.code = ParseServiceFlags(static_cast<int>(argv.size()), argv.data(), "penstock-expert",
                                  "Serves models.", parsed.config, validate, check_files);
  parsed.out = ::testing::internal::GetCapturedStdout();
  parsed.err = ::testing::internal::GetCapturedStderr();
  return parsed;
}

TEST(ServiceFlagsTest, WithoutFlagsTheServiceRunsOnDefaults) {
  EXPECT_FALSE(Parse({}).code.has_value());
}

TEST(ServiceFlagsTest, ReadsTheConfiguration) {
  TempDir dir;
  const Parsed parsed = Parse({"--config", dir.Write("c.yaml", "model_repository: /models\n"),
                               "--ready_file", "/run/ready"});
  EXPECT_FALSE(parsed.code.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config.model_repository(), "/models");
  EXPECT_EQ(parsed.config.server().ready_file(), "/run/ready");
}

TEST(ServiceFlagsTest, AWrongConfigurationIsExitCodeTwoWithThePath) {
  TempDir dir;
  const Parsed parsed = Parse({"--config", dir.Write("c.yaml", "model_repositroy: /models\n")});
  EXPECT_EQ(parsed.code, 2);
  EXPECT_THAT(parsed.err, HasSubstr("model_repositroy"));
}

TEST(ServiceFlagsTest, TheLogIsAsTheConfigurationSays) {
  const CapturedLog log;
  TempDir dir;
  const std::string file = dir.Write("c.yaml", "server: {log: {format: JSON, level: debug}}\n");
  EXPECT_FALSE(Parse({"--config", file}).code.has_value());
  EXPECT_EQ(EventLog::OfProcess().options(), (LogOptions{LogFormat::kJson, LogLevel::kDebug}));
}

TEST(ServiceFlagsTest, AWrongLogIsRefusedToServeAndToValidate) {
  const CapturedLog log;
  TempDir dir;
  const std::string file = dir.Write("c.yaml", "server: {log: {level: loud}}\n");
  for (const char* flag : {"--validate_config", "--ready_file=x"}) {
    const Parsed parsed = Parse({"--config", file, flag});
    EXPECT_EQ(parsed.code, 2);
    EXPECT_THAT(parsed.err, HasSubstr("server.log.level: wanted error, warning, info or debug"));
  }
}

TEST(ServiceFlagsTest, ValidateSaysWhatIsWrongOrOk) {
  EXPECT_EQ(Parse({"--validate_config"}).code, 0);
  const Parsed parsed = Parse({"--validate_config"}, [] {
    return absl::InvalidArgumentError("model_repository is empty");
  });
  EXPECT_EQ(parsed.code, 2);
  EXPECT_THAT(parsed.err, HasSubstr("model_repository is empty"));
}

TEST(ServiceFlagsTest, FilesAreReadWhereTheConfigurationIsValidatedAndNotToServe) {
  const auto missing = [] { return absl::NotFoundError("quality_file: no such file"); };
  const Parsed validated = Parse({"--validate_config"}, {}, missing);
  EXPECT_EQ(validated.code, 2);
  EXPECT_THAT(validated.err, HasSubstr("quality_file: no such file"));
  EXPECT_FALSE(Parse({}, {}, missing).code.has_value());
}

TEST(ServiceFlagsTest, HelpAndVersionArePrinted) {
  const Parsed help = Parse({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("--validate_config"));
  EXPECT_THAT(help.out, HasSubstr("Serves models."));
  const Parsed version = Parse({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, ::testing::StartsWith("penstock-expert "));
  EXPECT_NE(Parse({"--no_such_flag"}).code.value_or(0), 0);
}

AdminCall CallOf(const std::string& tenant) {
  AdminCall call;
  call.method = "/penstock.v1.Routing/SetBudget";
  call.tenant = tenant;
  call.credential = "key:0123abcd";
  return call;
}

TEST(AdminAuditTest, ACallIsALineWhateverTheLevelAndTheTenantsName) {
  CapturedLog log({LogFormat::kKeyValue, LogLevel::kError});
  AuditAdminCall(CallOf("a\n\" event=audit"), absl::OkStatus());
  ASSERT_EQ(log.Lines().size(), 1u);
  EXPECT_THAT(log.Lines()[0],
              HasSubstr("service=audit event=audit method=/penstock.v1.Routing/SetBudget "
                        "tenant=\"a\\n\\\" event=audit\" credential=key:0123abcd "));
  EXPECT_THAT(log.Lines()[0], ::testing::EndsWith("status=OK reason=\"\""));
}

TEST(AdminAuditTest, CallsThatWereLetThroughAreNeverSuppressedForThoseThatWereNot) {
  CapturedLog log({LogFormat::kKeyValue, LogLevel::kInfo, 1});
  for (int i = 0; i < 10; ++i) AuditAdminCall(CallOf("x"), absl::PermissionDeniedError("no"));
  EXPECT_EQ(log.Lines().size(), 1u);
  for (int i = 0; i < 10; ++i) AuditAdminCall(CallOf("y"), absl::OkStatus());
  EXPECT_EQ(log.Lines().size(), 11u);
}

TEST(ServiceMainTest, TheReadyLineIsPrintedAndWritten) {
  TempDir dir;
  ::testing::internal::CaptureStdout();
  EXPECT_TRUE(AnnounceReady("127.0.0.1:1", "-", "127.0.0.1:2", dir.File("ready")).ok());
  const std::string line = "ready grpc=127.0.0.1:1 http=- metrics=127.0.0.1:2\n";
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), line);
  EXPECT_EQ(dir.Read("ready"), line);
  EXPECT_EQ(AnnounceReady("a", "-", "-", "/nonexistent/ready").code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ServiceMainTest, ASignalEndsTheWait) {
  int signal = 0;
  std::thread waiter([&] {
    SignalWaiter signals;
    pthread_kill(pthread_self(), SIGTERM);
    signal = signals.Wait();
  });
  waiter.join();
  EXPECT_EQ(signal, SIGTERM);
}

// What `GET /metrics` answers.
std::string Scrape(const std::string& address) {
  const std::string command = "exec 3<>/dev/tcp/" + address.substr(0, address.rfind(':')) + "/" +
                              address.substr(address.rfind(':') + 1) +
                              " && printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3";
  FILE* pipe = popen(("bash -c \"" + command + "\"").c_str(), "r");
  std::string text;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, n);
  pclose(pipe);
  return text;
}

TEST(MetricsServerTest, ServesTheRegistryAndTheProcess) {
  auto registry = std::make_shared<prometheus::Registry>();
  prometheus::BuildCounter().Name("penstock_test_total").Help("h").Register(*registry).Add({}).Increment();
  auto server = MetricsServer::Start("127.0.0.1:0", registry);
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string text = Scrape((*server)->address());
  EXPECT_THAT(text, HasSubstr("penstock_test_total 1"));
  EXPECT_THAT(text, HasSubstr("process_cpu_seconds_total"));
  EXPECT_EQ(MetricsServer::Start((*server)->address(), registry).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(MetricsServerTest, OffServesNothing) {
  auto server = MetricsServer::Start("off", nullptr);
  ASSERT_TRUE(server.ok());
  EXPECT_EQ((*server)->address(), "-");
}

TEST(ProcessTest, CountsCpu) { EXPECT_GT(ProcessCpuTime(), absl::ZeroDuration()); }

}  // namespace
}  // namespace penstock
