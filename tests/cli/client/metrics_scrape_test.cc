#include "cli/client/metrics_scrape.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "common/metrics/metrics_server.h"
#include "tests/support/status_matchers.h"

namespace penstock::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SumOfMetricTest, AddsUpAllLabelSets) {
  constexpr char kText[] =
      "# HELP requests_total Requests\n"
      "# TYPE requests_total counter\n"
      "requests_total{pool=\"a\"} 3\n"
      "requests_total{pool=\"b\",code=\"OK\"} 4.5\n"
      "other_total 100\n";
  EXPECT_EQ(SumOfMetric(kText, "requests_total"), 7.5);
}

TEST(SumOfMetricTest, ReadsAMetricWithoutLabels) {
  EXPECT_EQ(SumOfMetric("process_cpu_seconds_total 1.5e-2\n", "process_cpu_seconds_total"), 0.015);
}

TEST(SumOfMetricTest, NamesThatAreLongerAreOtherMetrics) {
  constexpr char kText[] =
      "requests 1\n"
      "requests_total 10\n"
      "requests_failed{pool=\"a\"} 100\n"
      "all_requests 1000\n";
  EXPECT_EQ(SumOfMetric(kText, "requests"), 1);
}

TEST(SumOfMetricTest, TimestampIsNotPartOfTheValue) {
  EXPECT_EQ(SumOfMetric("a 2 1700000000000\na{x=\"y\"} 3 1700000000000\n", "a"), 5);
}

TEST(SumOfMetricTest, LabelValuesMayHoldSpacesAndBraces) {
  EXPECT_EQ(SumOfMetric("a{why=\"no {quota} 7\"} 2\n", "a"), 2);
}

TEST(SumOfMetricTest, AbsentMetricIsZero) {
  EXPECT_EQ(SumOfMetric("", "a"), 0);
  EXPECT_EQ(SumOfMetric("# TYPE a counter\n", "a"), 0);
}

class ScrapeMetricsTest : public testing::Test {
 protected:
  ScrapeMetricsTest() : registry_(std::make_shared<prometheus::Registry>()) {
    auto& family = prometheus::BuildCounter().Name("asked_total").Help("x").Register(*registry_);
    family.Add({{"pool", "a"}}).Increment(3);
    family.Add({{"pool", "b"}}).Increment(4);
  }

  std::shared_ptr<prometheus::Registry> registry_;
};

TEST_F(ScrapeMetricsTest, GetsWhatAMetricsServerServes) {
  ASSERT_OK_AND_ASSIGN(const auto server, MetricsServer::Start("127.0.0.1:0", registry_));
  ASSERT_OK_AND_ASSIGN(const std::string text, ScrapeMetrics(server->address()));
  EXPECT_EQ(SumOfMetric(text, "asked_total"), 7);
  EXPECT_GT(SumOfMetric(text, "process_resident_memory_bytes"), 0);
  EXPECT_THAT(text, Not(HasSubstr("HTTP/1"))) << "headers are no metrics";
}

TEST_F(ScrapeMetricsTest, TriesEveryAddressOfAName) {
  ASSERT_OK_AND_ASSIGN(const auto server, MetricsServer::Start("127.0.0.1:0", registry_));
  const std::string port = server->address().substr(server->address().rfind(':'));
  ASSERT_OK_AND_ASSIGN(const std::string text, ScrapeMetrics("localhost" + port));
  EXPECT_EQ(SumOfMetric(text, "asked_total"), 7);
}

// A port of the loopback that is bound, so that nobody else has it, and listens only if told.
class LoopbackSocket {
 public:
  LoopbackSocket() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~LoopbackSocket() { close(fd_); }

  void Listen() { EXPECT_EQ(listen(fd_, 1), 0); }
  // Takes one connection, reads what came first and sends `answer`.
  void AnswerOne(const std::string& answer) {
    const int connection = accept(fd_, nullptr, nullptr);
    char buffer[4096];
    EXPECT_GT(recv(connection, buffer, sizeof(buffer), 0), 0);
    EXPECT_EQ(send(connection, answer.data(), answer.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(answer.size()));
    close(connection);
  }
  const std::string& address() const { return address_; }

 private:
  const int fd_;
  std::string address_;
};

TEST_F(ScrapeMetricsTest, ClosedPortIsUnavailableAndNamed) {
  const LoopbackSocket closed;
  EXPECT_THAT(ScrapeMetrics(closed.address()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(closed.address())));
}

TEST_F(ScrapeMetricsTest, AnotherHttpCodeThan200IsUnavailable) {
  LoopbackSocket server;
  server.Listen();
  std::thread answering(
      [&] { server.AnswerOne("HTTP/1.1 404 Not Found\r\n\r\nasked_total 200 \n"); });
  EXPECT_THAT(ScrapeMetrics(server.address()), StatusIs(absl::StatusCode::kUnavailable));
  answering.join();
}

TEST_F(ScrapeMetricsTest, AddressWithoutPortIsInvalid) {
  EXPECT_THAT(ScrapeMetrics("localhost"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("HOST:PORT, got localhost")));
}

}  // namespace
}  // namespace penstock::cli
