#include "common/tracing/tracer.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/tracing/kept_spans.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock {
namespace {

constexpr char kSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kNotSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

class TracerTest : public testing::Test {
 protected:
  std::shared_ptr<Tracer> Make(double share, double per_second = 100, uint64_t seed = 1) {
    return std::make_shared<Tracer>(Tracer::Options{.sample_share = share,
                                                    .max_per_second = per_second,
                                                    .seed_high = seed,
                                                    .seed_low = seed + 1},
                                    batcher_, clock_.Now());
  }
  Tracer::Begun Begin(Tracer& tracer, absl::string_view traceparent) {
    return tracer.Begin(traceparent, "served", SpanKind::kServer, clock_.Now());
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  KeptSpans collector_;
  std::shared_ptr<SpanBatcher> batcher_ = std::make_shared<SpanBatcher>(
      SpanBatcher::Options(), clock_, timers_, collector_, collector_);
};

TEST_F(TracerTest, FollowsACallerThatIsSampled) {
  const auto tracer = Make(/*share=*/0);
  Tracer::Begun begun = Begin(*tracer, kSampled);
  ASSERT_TRUE(begun.span.recording());
  EXPECT_EQ(begun.span.context().trace.ToBytes(), TraceContext::Parse(kSampled)->trace.ToBytes());
  ASSERT_TRUE(begun.forward.has_value());
  EXPECT_EQ(begun.forward->span, begun.span.context().span);
  EXPECT_TRUE(begun.forward->sampled());
  clock_.Advance(absl::Milliseconds(5));
  begun.span.End(clock_.Now());
  timers_.AdvanceAndRun(absl::Seconds(2));
  ASSERT_EQ(collector_.spans().size(), 1u);
  const SpanRecord& sent = *collector_.spans()[0];
  EXPECT_EQ(sent.parent, 0x00f067aa0ba902b7u);
  EXPECT_NE(sent.context.span, sent.parent);
  EXPECT_EQ(sent.end - sent.start, absl::Milliseconds(5));
}

TEST_F(TracerTest, LeavesACallerAloneThatIsNotSampled) {
  const auto tracer = Make(/*share=*/1);
  const Tracer::Begun begun = Begin(*tracer, kNotSampled);
  EXPECT_FALSE(begun.span.recording());
  EXPECT_FALSE(begun.forward.has_value());
}

TEST_F(TracerTest, DrawsATraceWhereTheCallerHasNone) {
  const auto tracer = Make(/*share=*/1);
  for (const char* invalid :
       {"", "nonsense", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    const Tracer::Begun begun = Begin(*tracer, invalid);
    ASSERT_TRUE(begun.span.recording()) << invalid;
    EXPECT_TRUE(begun.span.context().trace.valid());
    EXPECT_EQ(begun.span.context().flags, TraceContext::kSampled | TraceContext::kRandom);
  }
}

// Those asked next must not draw again.
TEST_F(TracerTest, TellsThatADrawnTraceIsNotSampled) {
  const auto tracer = Make(/*share=*/0);
  const Tracer::Begun begun = Begin(*tracer, "");
  EXPECT_FALSE(begun.span.recording());
  ASSERT_TRUE(begun.forward.has_value());
  EXPECT_FALSE(begun.forward->sampled());
  EXPECT_TRUE(begun.forward->trace.valid() && begun.forward->span != 0);
}

TEST_F(TracerTest, BeyondItsLimitNobodyFurtherOnTracesEither) {
  const auto tracer = Make(/*share=*/0, /*per_second=*/2);
  EXPECT_TRUE(Begin(*tracer, kSampled).span.recording());
  EXPECT_TRUE(Begin(*tracer, kSampled).span.recording());
  const Tracer::Begun refused = Begin(*tracer, kSampled);
  EXPECT_FALSE(refused.span.recording());
  ASSERT_TRUE(refused.forward.has_value());
  EXPECT_FALSE(refused.forward->sampled());
  EXPECT_EQ(refused.forward->trace.ToBytes(), TraceContext::Parse(kSampled)->trace.ToBytes());
  // Who changes the flags says so with a span of its own.
  EXPECT_NE(refused.forward->span, TraceContext::Parse(kSampled)->span);
  clock_.Advance(absl::Milliseconds(500));
  EXPECT_TRUE(Begin(*tracer, kSampled).span.recording());
}

TEST_F(TracerTest, ChildrenStandBeneathTheirParent) {
  const auto tracer = Make(/*share=*/1);
  Span parent = Begin(*tracer, "").span;
  const TraceContext context = parent.context();
  Span child = parent.Child("compute", SpanKind::kInternal, clock_.Now());
  EXPECT_EQ(child.context().trace, context.trace);
  EXPECT_NE(child.context().span, context.span);
  child.End(clock_.Now());
  parent.End(clock_.Now());
  timers_.AdvanceAndRun(absl::Seconds(2));
  ASSERT_EQ(collector_.spans().size(), 2u);
  EXPECT_EQ(collector_.spans()[0]->parent, context.span);
  EXPECT_EQ(collector_.spans()[1]->parent, 0u);
}

TEST_F(TracerTest, TextsAreCutAtAWholeCharacter) {
  const auto tracer = Make(/*share=*/1);
  Span span = Begin(*tracer, "").span;
  span.Set("long", std::string(255, 'a') + "\xc3\xa4" + std::string(1000, 'b'));
  span.Set("broken", "\xff\xfe");
  span.Set("empty", "");
  span.End(clock_.Now());
  timers_.AdvanceAndRun(absl::Seconds(2));
  const auto& attributes = collector_.spans()[0]->attributes;
  ASSERT_EQ(attributes.size(), 2u);
  EXPECT_EQ(std::get<std::string>(attributes[0].value), std::string(255, 'a'));
  EXPECT_EQ(std::get<std::string>(attributes[1].value), "?");
}

TEST_F(TracerTest, ASpanThatIsNotEndedIsNotSent) {
  const auto tracer = Make(/*share=*/1);
  { const Tracer::Begun begun = Begin(*tracer, ""); }
  timers_.AdvanceAndRun(absl::Seconds(2));
  EXPECT_TRUE(collector_.spans().empty());
}

TEST_F(TracerTest, ASpanMayOutliveItsService) {
  auto tracer = Make(/*share=*/1);
  Span span = Begin(*tracer, "").span;
  batcher_->Finish(absl::ZeroDuration());
  tracer = nullptr;
  batcher_ = nullptr;
  span.Child("late", SpanKind::kInternal, clock_.Now()).End(clock_.Now());
  span.End(clock_.Now());
  EXPECT_TRUE(collector_.spans().empty());
}

}  // namespace
}  // namespace penstock
