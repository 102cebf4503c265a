#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "gmock/gmock.h"
#include "tests/integration/client.h"
#include "tests/integration/fake_expert.h"
#include "tests/integration/process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {

// A gateway, a router and an expert service, each a process, and two experts of the test's own, so
// that whatever can go wrong can be made to. Cost models do not learn. Pools (x FP32 [-1, 4] -> y
// FP32 [-1, 2]):
//   plain    one model at the expert service
//   slow     a model there that takes tenths of a second for kSlowRows rows; three may wait
//   fake     `fake`, 50 ms and 1 J a row by configuration; without breakers: it fails on purpose
//   narrow   `fake`, one request at once
//   pair     `fake`, or else `tiny` at the expert service
//   gone     `other`
//   strict   `cheap` (1 J, 50 ms) and `fast` (10 J, 20 ms), both `fake`; rejects
//   lenient  the same; degrades
//   capped   `fake`, at most 1.5 J a day
// Callers: alice (all pools, names experts, admin), bob (`plain` only), poor (2 requests a day).
class BadNewsPlatform : public testing::Test {
 protected:
  // The gateway takes no larger message.
  static constexpr uint64_t kMaxMessageBytes = 1 << 20;

  static void SetUpTestSuite();
  static void TearDownTestSuite();

  struct Parts {
    TempDir folder;
    FakeExpert fake;
    FakeExpert other;
    std::unique_ptr<Process> expert;
    std::unique_ptr<Process> router;
    std::unique_ptr<Process> gateway;
  };

  void SetUp() override { ASSERT_NE(parts_, nullptr) << "the platform did not start"; }
  void TearDown() override;

  // Another gateway to the same router; `more` are lines of its configuration.
  static std::unique_ptr<Process> StartGateway(const std::string& router, const std::string& more);
  static FakeExpert& fake() { return parts_->fake; }
  static const std::string& gateway() { return parts_->gateway->grpc(); }

  static Parts* parts_;
};

// The first value of a trailer, "" where there is none.
std::string Trailer(const InferReply& reply, const char* key);
// For messages of failures.
void PrintTo(const InferReply& reply, std::ostream* out);

// InferReply with this code, a message that `message` matches, and no retry-after-ms.
MATCHER_P2(IsRefused, code, message, "") {
  return arg.status.code() == code && Trailer(arg, "retry-after-ms").empty() &&
         testing::ExplainMatchResult(message, std::string(arg.status.message()), result_listener);
}
// RESOURCE_EXHAUSTED with retry-after-ms.
MATCHER_P(IsExhausted, message, "") {
  return absl::IsResourceExhausted(arg.status) && !Trailer(arg, "retry-after-ms").empty() &&
         std::stol(Trailer(arg, "retry-after-ms")) > 0 &&
         testing::ExplainMatchResult(message, std::string(arg.status.message()), result_listener);
}

}  // namespace penstock
