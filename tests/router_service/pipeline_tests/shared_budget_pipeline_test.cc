#include <memory>
#include <utility>

#include "common/store/memory_store.h"
#include "router_service/pacing/leasing/shared_window_ledger.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

// Requests under hard budgets, of this router alone and of a store that others have too. `small`
// takes 0.1 J, `big` 1 J.
class SharedBudgets : public RouterFixture {
 protected:
  void SetUp() override {
    RouterFixture::SetUp();
    Target("small:1").AnswerWith(MakeReply(1, 0.8f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  }
  void Share(SharedWindowLedger::Options options = {}) {
    options.owner = "this";
    shared_ = std::make_shared<SharedWindowLedger>(link_, timers_, clock_, std::move(options));
    shared_->Start();
    windows_ = shared_.get();
  }
  void Pass(absl::Duration time) { timers_.AdvanceAndRun(time); }
  // A while of requests, so that the budget has a rate.
  void Serve(int requests) {
    for (int i = 0; i < requests; ++i) {
      ASSERT_THAT(Ask(MakeRequest()).status, IsOk());
      Pass(absl::Milliseconds(100));
    }
  }

  MemoryStore store_{clock_};
  SwitchedStore link_{store_};
  std::shared_ptr<SharedWindowLedger> shared_;
};

TEST_F(SharedBudgets, AHardWindowRefusesWhatItDoesNotCoverBeforeItRuns) {
  Build(absl::StrCat(kTwoExperts,
                     "  budgets: [{resource: JOULES, amount: 0.25, per: HOUR, hard: true}]\n"));
  clock_.Advance(absl::Minutes(59));  // credit for all of it
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  EXPECT_EQ(Last().runs(0).expert(), "small");
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
  const size_t asked = Target("small:1").calls().size();
  // 0.05 J are left.
  const InferReply refused = Ask(MakeRequest());
  EXPECT_THAT(refused.status, StatusIs(StatusCode::kResourceExhausted,
                                       AllOf(HasSubstr("budget spent"), HasSubstr("0.25 JOULES"))));
  EXPECT_FALSE(FindMetadata(refused.trailers, kRetryAfterMetadata).empty());
  EXPECT_EQ(Target("small:1").calls().size(), asked);
  EXPECT_EQ(Last().status(), "RESOURCE_EXHAUSTED");
  EXPECT_LE(pacer_->List("pool", "").at(0).spent(), 0.25);
}

TEST_F(SharedBudgets, WhatAnotherRouterSpentIsNotThere) {
  Share();
  SwitchedStore link(store_);
  SharedWindowLedger::Options options;
  options.owner = "other";
  const auto other = std::make_shared<SharedWindowLedger>(link, timers_, clock_, options);
  other->Start();
  Build(absl::StrCat(kTwoExperts,
                     "  budgets: [{resource: REQUESTS, amount: 10, per: HOUR, hard: true}]\n"));
  const BudgetWindow window = BudgetWindow::At(clock_.Now(), absl::Hours(1));
  other->Keep("pool//REQUESTS/HOUR", absl::Hours(1), 10, 0);
  int64_t theirs = 0;
  for (int i = 0; i < 8; ++i) {
    Pass(absl::Milliseconds(200));
    if (!Covers(other->Reserve("pool//REQUESTS/HOUR", window, 1, 10))) continue;
    other->Settle("pool//REQUESTS/HOUR", window, 1, 1);
    ++theirs;
  }
  EXPECT_EQ(theirs, 8);
  int64_t ours = 0;
  for (int i = 0; i < 30; ++i) {
    Pass(absl::Milliseconds(200));
    ours += Ask(MakeRequest()).status.ok() ? 1 : 0;
  }
  EXPECT_EQ(ours, 2);
  EXPECT_EQ(pacer_->List("pool", "").at(0).spent(), 10);
}

TEST_F(SharedBudgets, WithoutTheStoreAnswersSaySo) {
  Share();
  Build(absl::StrCat(kTwoExperts,
                     "  budgets: [{resource: REQUESTS, amount: 1000, per: HOUR, hard: true}]\n"));
  Pass(absl::Milliseconds(200));
  Serve(100);
  EXPECT_EQ(Text(Ask(MakeRequest()), "penstock_degraded"), "(none)");
  link_.Fail(absl::UnavailableError("away"));
  Pass(absl::Milliseconds(200));
  int marked = 0;
  for (int i = 0; i < 300; ++i) {
    const InferReply reply = Ask(MakeRequest());
    EXPECT_THAT(reply.status, IsOk()) << i;
    const std::string degraded = Text(reply, "penstock_degraded");
    EXPECT_TRUE(degraded == "(none)" || degraded == "store_down") << degraded;
    EXPECT_EQ(Last().degraded(), degraded == "(none)" ? "" : degraded);
    marked += degraded == "store_down" ? 1 : 0;
    Pass(absl::Milliseconds(100));
  }
  // All but the lease's: two seconds' worth, and no less than a hundredth of what is left.
  EXPECT_GT(marked, 250);
  link_.Fail(absl::OkStatus());
  Pass(absl::Seconds(2));
  EXPECT_EQ(Text(Ask(MakeRequest()), "penstock_degraded"), "(none)");
  EXPECT_EQ(pacer_->List("pool", "").at(0).spent(), 402);
}

TEST_F(SharedBudgets, WithoutTheStoreForLongHardBudgetsRefuseIfTheyShall) {
  SharedWindowLedger::Options options;
  options.grace = absl::Seconds(5);
  options.deny_after_grace = true;
  Share(options);
  Build(absl::StrCat(kTwoExperts,
                     "  budgets: [{resource: REQUESTS, amount: 1000, per: HOUR, hard: true}]\n"));
  Pass(absl::Milliseconds(200));
  Serve(100);
  link_.Fail(absl::UnavailableError("away"));
  InferReply reply;
  for (int i = 0; i < 100; ++i) {
    reply = Ask(MakeRequest());
    Pass(absl::Milliseconds(100));
  }
  EXPECT_THAT(reply.status, StatusIs(StatusCode::kResourceExhausted,
                                     AllOf(HasSubstr("store down"), HasSubstr("1000 REQUESTS"))));
  EXPECT_FALSE(FindMetadata(reply.trailers, kRetryAfterMetadata).empty());
  link_.Fail(absl::OkStatus());
  Pass(absl::Milliseconds(200));
  EXPECT_THAT(Ask(MakeRequest()).status, IsOk());
}

}  // namespace
}  // namespace penstock::router
