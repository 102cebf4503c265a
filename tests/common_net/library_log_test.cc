#include "common/net/library_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/captured_log.h"

namespace penstock {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

// What gRPC says, as lines of the process's log.
class LibraryLogTest : public testing::Test {
 protected:
  LibraryLogTest() {
    gpr_log_verbosity_init();  // as the first channel would
    LogForLibraries();
  }
  ~LibraryLogTest() override {
    gpr_set_log_function(nullptr);
    google::protobuf::SetLogHandler(protobuf_);
  }

  CapturedLog log_;

 private:
  google::protobuf::LogHandler* const protobuf_ = google::protobuf::SetLogHandler(nullptr);
};

TEST_F(LibraryLogTest, AFailedAssertionIsToldWhole) {
  const std::string why(2000, 'x');
  for (int i = 0; i < 100; ++i) gpr_log(GPR_ERROR, "assertion failed: %s", why.c_str());
  EXPECT_THAT(log_.Lines(), SizeIs(100));
  EXPECT_THAT(log_.Lines(), Each(AllOf(HasSubstr("level=error service=test event=grpc "),
                                       EndsWith("text=\"assertion failed: " + why + "\""))));
}

TEST_F(LibraryLogTest, AStrangersWordsAreNoFailedAssertion) {
  const std::string sent = "assertion failed: " + std::string(2000, 'x');
  for (int i = 0; i < 100; ++i) gpr_log(GPR_ERROR, "invalid value '%s'", sent.c_str());
  EXPECT_THAT(log_.Lines(), SizeIs(1));
  EXPECT_THAT(log_.Lines(),
              Each(AllOf(HasSubstr("level=warning service=test event=grpc"), SizeIs(Le(700u)))));
  log_.clock().Advance(absl::Seconds(1));
  gpr_log(GPR_ERROR, "again");
  EXPECT_THAT(log_.Lines().back(), HasSubstr("event=grpc suppressed=99 text=again"));
}

TEST_F(LibraryLogTest, WhatStrangersSendBeginsNoLineOfItsOwn) {
  gpr_log(GPR_ERROR, "value=a\r\nevent=\"audit\"\xff");
  EXPECT_THAT(log_.Lines(),
              ElementsAre(EndsWith("text=\"value=a\\r\\nevent=\\\"audit\\\"\\ufffd\"")));
}

TEST_F(LibraryLogTest, OtherWordsAreForDebuggers) {
  gpr_log(GPR_INFO, "connected");
  EXPECT_THAT(log_.Lines(), IsEmpty());
}

}  // namespace
}  // namespace penstock
