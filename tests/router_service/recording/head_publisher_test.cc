#include "router_service/recording/head_publisher.h"

#include <filesystem>
#include <optional>

#include "common/store/memory_store.h"
#include "gmock/gmock.h"
#include "router_service/recording/chain/kept_heads.h"
#include "router_service/recording/decision_log.h"
#include "tests/router_service/recording/chain/log_folder.h"
#include "tests/support/switched_store.h"

namespace penstock::router {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kLog[] = "0123456789abcdef";

LogHead Head(uint64_t sequence) {
  LogHead head = {.log = kLog, .sequence = sequence, .hash = {}};
  head.hash[0] = static_cast<uint8_t>(sequence);
  return head;
}

class HeadPublisherTest : public LogFolder {
 protected:
  std::unique_ptr<HeadPublisher> Publisher() {
    return std::make_unique<HeadPublisher>(
        store_, clock_, [this](const std::string& problem) { problems_.push_back(problem); });
  }
  std::vector<LogHead> Kept(const std::string& log = kLog) {
    std::vector<LogHead> heads;
    memory_.Get(KeptHeadsKey(log), absl::InfiniteFuture(), [&](const auto& value) {
      size_t others = 0;
      if (value.ok() && value->has_value()) heads = ParseKeptHeads(log, **value, others);
      EXPECT_EQ(others, 0u);
    });
    return heads;
  }
  void Put(const std::string& text) {
    memory_.Put(KeptHeadsKey(kLog), text, absl::InfiniteDuration(), absl::InfiniteFuture(),
                [](const absl::Status& status) { EXPECT_TRUE(status.ok()) << status; });
  }

  MemoryStore memory_{clock_};
  SwitchedStore store_{memory_};
  std::vector<std::string> problems_;
};

TEST_F(HeadPublisherTest, TellsTheLatestOnceASecond) {
  const auto publisher = Publisher();
  publisher->Tick();
  EXPECT_THAT(Kept(), IsEmpty());
  publisher->HeadSynced(Head(1));
  publisher->Tick();
  EXPECT_THAT(Kept(), ElementsAre(Head(1)));
  publisher->HeadSynced(Head(2));
  publisher->HeadSynced(Head(3));
  const int64_t before = memory_.state().calls;
  clock_.Advance(absl::Milliseconds(999));
  publisher->Tick();
  EXPECT_EQ(memory_.state().calls, before);
  clock_.Advance(absl::Milliseconds(1));
  publisher->Tick();
  EXPECT_THAT(Kept(), ElementsAre(Head(1), Head(3)));
}

TEST_F(HeadPublisherTest, TellsTheLastOneWhenItGoes) {
  auto publisher = Publisher();
  publisher->HeadSynced(Head(1));
  publisher->Tick();
  publisher->HeadSynced(Head(2));
  publisher.reset();
  EXPECT_THAT(Kept(), ElementsAre(Head(1), Head(2)));
}

TEST_F(HeadPublisherTest, TellsAgainWhereTheStoreHasForgotten) {
  const auto publisher = Publisher();
  publisher->HeadSynced(Head(1));
  publisher->Tick();
  memory_.Erase(KeptHeadsKey(kLog), absl::InfiniteFuture(), [](const absl::Status&) {});
  clock_.Advance(HeadPublisher::kAgain - absl::Milliseconds(1));
  publisher->Tick();
  EXPECT_THAT(Kept(), IsEmpty());
  clock_.Advance(absl::Milliseconds(1));
  publisher->Tick();
  EXPECT_THAT(Kept(), ElementsAre(Head(1)));
}

TEST_F(HeadPublisherTest, TriesAgainWhereTheStoreIsAway) {
  const auto publisher = Publisher();
  store_.Fail(absl::UnavailableError("gone"));
  publisher->HeadSynced(Head(1));
  for (int i = 0; i < 5; ++i) {
    publisher->Tick();
    clock_.Advance(absl::Milliseconds(500));
  }
  store_.Fail(absl::OkStatus());
  clock_.Advance(HeadPublisher::kEvery);
  publisher->Tick();
  EXPECT_THAT(Kept(), ElementsAre(Head(1)));
}

TEST_F(HeadPublisherTest, WritesNothingBeforeItHasReadWhatEarlierRunsTold) {
  Put(FormatKeptHeads({Head(1), Head(9)}));
  const auto publisher = Publisher();
  store_.Fail(absl::DeadlineExceededError("late"));
  publisher->HeadSynced(Head(10));
  publisher->Tick();
  store_.Fail(absl::OkStatus());
  EXPECT_THAT(Kept(), ElementsAre(Head(1), Head(9)));
  clock_.Advance(HeadPublisher::kEvery);
  publisher->Tick();
  EXPECT_THAT(Kept(), ElementsAre(Head(1), Head(9), Head(10)));
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(HeadPublisherTest, SaysThatTheLogWasCutAndKeepsWhatShowsIt) {
  Put(FormatKeptHeads({Head(1), Head(9)}));
  const auto publisher = Publisher();
  publisher->HeadSynced(Head(6));
  publisher->Tick();
  publisher->HeadSynced(Head(20));
  clock_.Advance(HeadPublisher::kEvery);
  publisher->Tick();
  EXPECT_THAT(Kept(), ElementsAre(Head(1), Head(9), Head(6), Head(20)));
  EXPECT_THAT(problems_, ElementsAre(AllOf(HasSubstr("was cut"), HasSubstr("with record 6"),
                                           HasSubstr("record 9 was on the disk"))));
}

TEST_F(HeadPublisherTest, SaysThatWhatIsKeptIsNoHead) {
  Put("nonsense\n");
  const auto publisher = Publisher();
  publisher->HeadSynced(Head(6));
  publisher->Tick();
  EXPECT_THAT(Kept(), ElementsAre(Head(6)));
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("1 lines of decision_log/heads/")));
}

// What is under way when it goes ends somewhere else.
TEST_F(HeadPublisherTest, ACallThatEndsAfterItIsGoneHurtsNobody) {
  auto publisher = Publisher();
  store_.Hold();
  publisher->HeadSynced(Head(1));
  publisher->Tick();
  publisher.reset();
  store_.Release();
}

// As a router does: a log, its heads in the store, a cut while it is down, and another run.
TEST_F(HeadPublisherTest, ALogThatWasCutBetweenTwoRunsIsFoundByTheStoreAlone) {
  const auto run = [&](int decisions) {
    const auto publisher = Publisher();
    config::v1::DecisionLog config;
    config.set_directory(folder());
    auto log = DecisionLog::Create(config, 7, clock_,
                                   [&](const LogHead& head) { publisher->HeadSynced(head); });
    ASSERT_TRUE(log.ok()) << log.status();
    for (int i = 0; i < decisions; ++i) {
      auto decision = std::make_shared<v1::Decision>();
      decision->set_id((*log)->IdOf(static_cast<uint64_t>(i) + 1).ToString());
      (*log)->Append(decision);
    }
    log->reset();
  };
  run(3);
  const std::string image = Image();
  run(5);
  const std::string log = *ReadLogId(folder());
  const auto verified = [&] {
    const auto report = VerifyLog(folder(), std::nullopt, Kept(log));
    EXPECT_TRUE(report.ok()) << report.status();
    return *report;
  };
  EXPECT_FALSE(verified().broken.has_value());
  EXPECT_EQ(verified().last_kept, verified().last_sequence);
  EXPECT_THAT(problems_, IsEmpty());

  std::filesystem::remove_all(folder());
  std::filesystem::copy(image, folder());
  EXPECT_EQ(Problem(Verify()), "");
  EXPECT_THAT(Problem(verified()), HasSubstr("was cut after record 5"));

  run(20);
  EXPECT_EQ(Problem(Verify()), "");
  EXPECT_THAT(Problem(verified()), HasSubstr("a head kept elsewhere"));
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("was cut")));
}

}  // namespace
}  // namespace penstock::router
