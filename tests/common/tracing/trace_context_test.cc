#include "common/tracing/trace_context.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

// The example of W3C Trace Context, section 3.2.4.
constexpr char kExample[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContextTest, ReadsTheExampleOfTheRecommendation) {
  const auto context = TraceContext::Parse(kExample);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace.high, 0x4bf92f3577b34da6u);
  EXPECT_EQ(context->trace.low, 0xa3ce929d0e0e4736u);
  EXPECT_EQ(context->span, 0x00f067aa0ba902b7u);
  EXPECT_TRUE(context->sampled());
  EXPECT_EQ(context->ToString(), kExample);
}

TEST(TraceContextTest, HasIdsAsBytesInNetworkOrder) {
  const auto context = TraceContext::Parse(kExample);
  EXPECT_EQ(context->trace.ToBytes(),
            "\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36");
  EXPECT_EQ(SpanIdBytes(context->span), std::string("\x00\xf0\x67\xaa\x0b\xa9\x02\xb7", 8));
}

TEST(TraceContextTest, KeepsTheFlagsItKnows) {
  const auto read = [](const char* flags) {
    return TraceContext::Parse(
        absl::StrCat("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-", flags));
  };
  EXPECT_FALSE(read("00")->sampled());
  EXPECT_EQ(read("03")->flags, TraceContext::kSampled | TraceContext::kRandom);
  // Those that are not known are not passed on.
  EXPECT_EQ(read("ff")->flags, TraceContext::kSampled | TraceContext::kRandom);
  EXPECT_EQ(read("fc")->flags, 0);
}

TEST(TraceContextTest, ReadsLaterVersionsAsFarAsTheyAreKnown) {
  const std::string later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
  const auto context = TraceContext::Parse(later);
  ASSERT_TRUE(context.has_value());
  // What else a flag of a later version means is not known.
  EXPECT_EQ(context->flags, TraceContext::kSampled);
  EXPECT_EQ(context->ToString(), kExample);
  EXPECT_TRUE(TraceContext::Parse(later + "-what-is-to-come").has_value());
  EXPECT_TRUE(TraceContext::Parse(later + "-").has_value());
  EXPECT_FALSE(TraceContext::Parse(later + ".what").has_value());
  EXPECT_FALSE(TraceContext::Parse(later + "-" + std::string(100, 'a')).has_value());
}

class InvalidTraceparentTest : public testing::TestWithParam<std::string> {};

TEST_P(InvalidTraceparentTest, IsNone) {
  EXPECT_FALSE(TraceContext::Parse(GetParam()).has_value());
}

INSTANTIATE_TEST_SUITE_P(
    TraceContext, InvalidTraceparentTest,
    testing::Values("", "00", "-", std::string(55, '-'), std::string(55, '0'),
                    std::string(1 << 20, 'a'),
                    // Version ff is forbidden.
                    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                    // Ids of zeros.
                    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                    // Upper case, and what is no digit, in each part.
                    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                    "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                    "00-4bf92f3577b34da6a3ce929d0e0e473 -00f067aa0ba902b7-01",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bx-01",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
                    "0x4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
                    // Too short, and longer than version 00 is.
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
                    " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                    // Dashes in other places.
                    "00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01",
                    std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\0", 55)));

// 100,000 of random bytes, and as many that are near to a right one.
TEST(TraceContextTest, OnlyTakesWhatItWouldWriteItself) {
  CounterRandom random(/*seed=*/1, /*sequence=*/0);
  int taken = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = kExample;
    if (i % 2 == 0) {
      text.resize(random.Below(140));
      for (char& c : text) c = static_cast<char>(random.Below(256));
    } else {
      const uint64_t changes = random.Below(3);
      for (uint64_t n = 0; n < changes; ++n) {
        text[random.Below(text.size())] = "0123456789abcdefgF-"[random.Below(19)];
      }
    }
    const auto context = TraceContext::Parse(text);
    if (!context.has_value()) continue;
    ++taken;
    ASSERT_TRUE(context->trace.valid() && context->span != 0) << text;
    ASSERT_EQ(context->ToString().substr(2, 50), text.substr(2, 50));
    ASSERT_EQ(TraceContext::Parse(context->ToString()), context);
  }
  EXPECT_GT(taken, 30'000);
}

}  // namespace
}  // namespace penstock
