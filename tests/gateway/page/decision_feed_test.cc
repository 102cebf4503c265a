#include "gateway/page/decision_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DecisionFeedTest : public ::testing::Test {
 protected:
  void Make(DecisionFeed::Limits limits = {}) {
    feed_ = std::make_shared<DecisionFeed>(clock_, timers_, limits);
    feed_->SetSource({[this] { ++watched_; }, [this] { ++unwatched_; }});
  }
  struct Answer {
    bool came = false;
    std::vector<std::string> decisions;
    uint64_t next = 0;
    uint64_t missed = 0;
  };
  std::shared_ptr<Answer> Read(uint64_t after, absl::Duration wait = absl::ZeroDuration()) {
    auto answer = std::make_shared<Answer>();
    feed_->Read(after, clock_.Now() + wait, [answer](DecisionFeed::Batch batch) {
      EXPECT_FALSE(answer->came) << "answered twice";
      answer->came = true;
      for (const Bytes& decision : batch.decisions) {
        answer->decisions.push_back(decision.ToString());
      }
      answer->next = batch.next;
      answer->missed = batch.missed;
    });
    return answer;
  }
  void Push(const std::string& decision) { feed_->Push(Bytes(decision)); }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  std::shared_ptr<DecisionFeed> feed_;
  int watched_ = 0;
  int unwatched_ = 0;
};

TEST_F(DecisionFeedTest, KeepsNothingThatNobodyLooksAt) {
  Make();
  Push("unseen");
  EXPECT_THAT(Read(0)->decisions, IsEmpty());
  EXPECT_EQ(watched_, 1);
  Push("seen");
  EXPECT_THAT(Read(0)->decisions, ElementsAre("seen"));
}

TEST_F(DecisionFeedTest, ACursorShowsEachDecisionOnce) {
  Make();
  const uint64_t start = Read(0)->next;
  Push("a");
  Push("b");
  const auto first = Read(start);
  EXPECT_THAT(first->decisions, ElementsAre("a", "b"));
  EXPECT_THAT(Read(first->next)->decisions, IsEmpty());
  Push("c");
  EXPECT_THAT(Read(first->next)->decisions, ElementsAre("c"));
  EXPECT_THAT(Read(start)->decisions, ElementsAre("a", "b", "c"));
  EXPECT_EQ(Read(start)->missed, 0u);
}

TEST_F(DecisionFeedTest, KeepsSoManyAndSaysHowManyWereMissed) {
  DecisionFeed::Limits limits;
  limits.decisions = 3;
  limits.bytes = 10;
  Make(limits);
  const uint64_t start = Read(0)->next;
  for (const char* each : {"1", "2", "3", "4", "5"}) Push(each);
  EXPECT_THAT(Read(start)->decisions, ElementsAre("3", "4", "5"));
  EXPECT_EQ(Read(start)->missed, 2u);
  Push("123456789");
  EXPECT_THAT(Read(start)->decisions, ElementsAre("5", "123456789"));
  // One that is longer than the bound is kept alone.
  Push(std::string(20, 'x'));
  EXPECT_THAT(Read(start)->decisions, ElementsAre(std::string(20, 'x')));
  EXPECT_EQ(Read(start)->missed, 6u);
}

TEST_F(DecisionFeedTest, ACursorOfAnotherProcessShowsWhatThereIs) {
  Make();
  Read(0);
  Push("a");
  for (const uint64_t strange : {uint64_t{1}, Read(0)->next + 1000, UINT64_MAX}) {
    EXPECT_THAT(Read(strange)->decisions, ElementsAre("a"));
    EXPECT_EQ(Read(strange)->missed, 0u);
  }
}

TEST_F(DecisionFeedTest, WhoWaitsIsToldWithTheNextOrWhenItIsTime) {
  Make();
  const uint64_t start = Read(0)->next;
  const auto told = Read(start, absl::Seconds(5));
  const auto too = Read(start, absl::Seconds(5));
  EXPECT_FALSE(told->came);
  Push("a");
  EXPECT_THAT(told->decisions, ElementsAre("a"));
  EXPECT_THAT(too->decisions, ElementsAre("a"));
  const auto late = Read(told->next, absl::Seconds(5));
  clock_.Advance(absl::Seconds(5));
  timers_.RunDue();
  EXPECT_TRUE(late->came);
  EXPECT_THAT(late->decisions, IsEmpty());
  Push("b");  // nobody is told twice
  EXPECT_THAT(Read(late->next)->decisions, ElementsAre("b"));
}

TEST_F(DecisionFeedTest, SoManyWaitAndTheRestIsAnsweredAtOnce) {
  DecisionFeed::Limits limits;
  limits.listeners = 2;
  Make(limits);
  const uint64_t start = Read(0)->next;
  const auto one = Read(start, absl::Seconds(5)), two = Read(start, absl::Seconds(5)),
             three = Read(start, absl::Seconds(5));
  EXPECT_FALSE(one->came || two->came);
  EXPECT_TRUE(three->came);
}

TEST_F(DecisionFeedTest, LetsGoOfTheRoutersWhenNobodyLooks) {
  DecisionFeed::Limits limits;
  limits.idle = absl::Seconds(15);
  Make(limits);
  Read(0);
  Push("a");
  clock_.Advance(absl::Seconds(10));
  Read(0);
  clock_.Advance(absl::Seconds(10));
  timers_.RunDue();
  EXPECT_EQ(unwatched_, 0);
  clock_.Advance(absl::Seconds(15));
  timers_.RunDue();
  EXPECT_EQ(unwatched_, 1);
  const int before = watched_;
  EXPECT_THAT(Read(0)->decisions, IsEmpty());
  EXPECT_EQ(watched_, before + 1);
}

TEST_F(DecisionFeedTest, ItsEndAnswersWhoWaits) {
  Make();
  const auto waiting = Read(Read(0)->next, absl::Seconds(5));
  feed_->Stop();
  EXPECT_TRUE(waiting->came);
  EXPECT_EQ(unwatched_, 1);
  Push("a");
  const auto after = Read(0, absl::Seconds(5));
  EXPECT_TRUE(after->came);
  EXPECT_THAT(after->decisions, IsEmpty());
}

}  // namespace
}  // namespace penstock::gateway
