#include "gateway/caching/shared_cache.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/store/memory_store.h"
#include "gateway/caching/kept_answer.h"
#include "tests/gateway/caching/caching_fixture.h"

namespace penstock::gateway {
namespace {

using Source = CacheObserver::Source;
using StoreResult = CacheObserver::StoreResult;

// A memory store whose reads wait until they are let through, or fail.
class SlowStore final : public Store {
 public:
  explicit SlowStore(const Clock& clock) : store_(clock) {}

  void Get(absl::string_view key, absl::Time deadline,
           Done<std::optional<std::string>> done) override {
    deadlines.push_back(deadline);
    if (!slow) return store_.Get(key, deadline, std::move(done));
    waiting.push_back(std::move(done));
  }
  void Put(absl::string_view key, absl::string_view value, absl::Duration ttl, absl::Time deadline,
           DoneStatus done) override {
    keys.emplace_back(key);
    sizes.push_back(value.size());
    if (refuses) return done(absl::UnavailableError("no connection"));
    store_.Put(key, value, ttl, deadline, std::move(done));
  }
  void Erase(absl::string_view key, absl::Time deadline, DoneStatus done) override {
    store_.Erase(key, deadline, std::move(done));
  }
  void AddCounters(absl::string_view name, int64_t window, absl::Span<const StoreField> deltas,
                   absl::Duration ttl, absl::Time deadline, DoneStatus done) override {
    store_.AddCounters(name, window, deltas, ttl, deadline, std::move(done));
  }
  void ReadCounters(absl::string_view name, int64_t window, absl::Time deadline,
                    Done<StoreFields> done) override {
    store_.ReadCounters(name, window, deadline, std::move(done));
  }
  void AcquireLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                    absl::Time deadline, Done<LeaseHolder> done) override {
    store_.AcquireLease(name, owner, ttl, deadline, std::move(done));
  }
  void RenewLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                  absl::Time deadline, Done<LeaseHolder> done) override {
    store_.RenewLease(name, owner, ttl, deadline, std::move(done));
  }
  void ReleaseLease(absl::string_view name, absl::string_view owner, absl::Time deadline,
                    DoneStatus done) override {
    store_.ReleaseLease(name, owner, deadline, std::move(done));
  }
  void RaiseTotals(absl::string_view name, int64_t window, absl::Span<const StoreField> totals,
                   absl::Duration ttl, absl::Time deadline, DoneStatus done) override {
    store_.RaiseTotals(name, window, totals, ttl, deadline, std::move(done));
  }
  void ReadTotals(absl::string_view name, int64_t window, absl::Time deadline,
                  Done<StoreFields> done) override {
    store_.ReadTotals(name, window, deadline, std::move(done));
  }
  void TakeBudget(const BudgetTake& take, absl::Time deadline, Done<BudgetGrant> done) override {
    store_.TakeBudget(take, deadline, std::move(done));
  }
  void Publish(absl::string_view channel, absl::string_view message, absl::Time deadline,
               DoneStatus done) override {
    store_.Publish(channel, message, deadline, std::move(done));
  }
  absl::StatusOr<std::unique_ptr<StoreSubscription>> Subscribe(
      absl::string_view channel, absl::AnyInvocable<void()> on_live,
      absl::AnyInvocable<void(absl::string_view message)> on_message) override {
    return store_.Subscribe(channel, std::move(on_live), std::move(on_message));
  }
  StoreState state() const override { return store_.state(); }

  void Fail(absl::Status why) {
    std::vector<Done<std::optional<std::string>>> failed;
    failed.swap(waiting);
    for (auto& done : failed) done(why);
  }

  bool slow = false, refuses = false;
  std::vector<absl::Time> deadlines;  // of reads
  std::vector<std::string> keys;      // of writes
  std::vector<size_t> sizes;
  std::vector<Done<std::optional<std::string>>> waiting;

 private:
  MemoryStore store_;
};

class SharedCacheTest : public CachingTest {
 protected:
  void SetUp() override {
    CachingTest::SetUp();
    Restart();
  }
  // Another gateway, which knows nothing, at the same store.
  void Restart() { Build(1 << 20, &Sha256OfKey, &shared_); }

  SlowStore store_{clock_};
  SharedCache shared_{
      store_, clock_, events_, {.timeout = absl::Milliseconds(20), .max_entry_bytes = 4096}};
};

TEST_F(SharedCacheTest, AnotherGatewayIsAnsweredWithoutARun) {
  Ask(RequestOf({1}));
  Run(0)->Reply(AnswerOf(5));
  Restart();
  const auto asked = Ask(RequestOf({1}, "id"));
  EXPECT_EQ(Read(*asked).y, 5);
  EXPECT_EQ(Read(*asked).id, "id");
  EXPECT_EQ(Read(*asked).Text("penstock_cache"), "hit");
  EXPECT_EQ(runs(), 1u);
  EXPECT_EQ(events_.sources[Source::kShared], 1);
  // And is read once.
  EXPECT_EQ(Read(*Ask(RequestOf({1}))).y, 5);
  EXPECT_EQ(store_.deadlines.size(), 2u);  // the first run's, too
}

TEST_F(SharedCacheTest, OneReadServesAllThatWait) {
  store_.slow = true;
  std::vector<std::shared_ptr<Asked>> asked;
  for (int i = 0; i < 10; ++i) asked.push_back(Ask(RequestOf({1})));
  EXPECT_EQ(store_.waiting.size(), 1u);
  EXPECT_EQ(runs(), 0u);
  store_.Fail(absl::DeadlineExceededError("slow"));
  ASSERT_EQ(runs(), 1u);
  Run(0)->Reply(AnswerOf(5));
  for (const auto& one : asked) EXPECT_EQ(Read(*one).y, 5);
}

TEST_F(SharedCacheTest, WaitsNoLongerThanItMay) {
  Ask(RequestOf({1}));
  Ask(RequestOf({2}), {.deadline = clock_.Now() + absl::Milliseconds(5)});
  EXPECT_EQ(store_.deadlines.at(0), clock_.Now() + absl::Milliseconds(20));
  EXPECT_EQ(store_.deadlines.at(1), clock_.Now() + absl::Milliseconds(5));
}

class SharedCacheSilenceTest : public SharedCacheTest {
 protected:
  // A request of its own, which the store leaves without an answer for as long as a read may take.
  void AskInVain(float x) {
    Ask(RequestOf({x}));
    clock_.Advance(absl::Milliseconds(20));
    store_.Fail(absl::DeadlineExceededError("slow"));
  }
  void Silence() {
    store_.slow = true;
    for (int i = 0; i < StorePatience::kSilentReads; ++i) AskInVain(static_cast<float>(i));
    ASSERT_EQ(runs(), 3u);
    ASSERT_EQ(store_.deadlines.size(), 3u);
  }
};

TEST_F(SharedCacheSilenceTest, NobodyWaitsForAStoreThatDoesNotAnswer) {
  Silence();
  Ask(RequestOf({10}));
  EXPECT_EQ(runs(), 4u) << "at once";
  EXPECT_EQ(store_.deadlines.size(), 3u);
  EXPECT_EQ(events_.stores[StoreResult::kReadSkipped], 1);
}

TEST_F(SharedCacheSilenceTest, AReadNowAndThenFindsOutWhetherItAnswersAgain) {
  Silence();
  clock_.Advance(StorePatience::kProbePause);
  Ask(RequestOf({10}));
  Ask(RequestOf({11}));
  EXPECT_EQ(runs(), 5u) << "neither waits";
  EXPECT_EQ(store_.deadlines.size(), 4u);
  clock_.Advance(absl::Milliseconds(20));
  store_.Fail(absl::DeadlineExceededError("slow"));
  Ask(RequestOf({12}));
  EXPECT_EQ(store_.deadlines.size(), 4u);
  // It is back.
  clock_.Advance(StorePatience::kProbePause);
  store_.slow = false;
  Ask(RequestOf({13}));
  store_.slow = true;
  Ask(RequestOf({14}));
  EXPECT_EQ(runs(), 7u) << "the last one waits for the store";
  store_.Fail(absl::UnavailableError("no connection"));
  EXPECT_EQ(runs(), 8u);
}

TEST_F(SharedCacheSilenceTest, AReadThatEndsBeforeItsTimeSaysNothingOfTheStore) {
  store_.slow = true;
  for (int i = 0; i < 10; ++i) {
    Ask(RequestOf({static_cast<float>(i)}), {.deadline = clock_.Now() + absl::Milliseconds(5)});
    clock_.Advance(absl::Milliseconds(5));
    store_.Fail(absl::DeadlineExceededError("the request's own"));
  }
  EXPECT_EQ(store_.deadlines.size(), 10u);
}

TEST_F(SharedCacheSilenceTest, FailuresAreAnswers) {
  store_.slow = true;
  for (int i = 0; i < 10; ++i) {
    Ask(RequestOf({static_cast<float>(i)}));
    store_.Fail(absl::UnavailableError("no connection"));
  }
  EXPECT_EQ(store_.deadlines.size(), 10u);
}

TEST_F(SharedCacheTest, AnswersFromTheStoreAndFromMemorySayThatTheyWereKept) {
  const auto run = Ask(RequestOf({1}));
  Run(0)->Reply(AnswerOf(5));
  EXPECT_FALSE(IsKeptReply(*run->reply));
  EXPECT_TRUE(IsKeptReply(*Ask(RequestOf({1}))->reply));
  Restart();
  EXPECT_TRUE(IsKeptReply(*Ask(RequestOf({1}))->reply));
  EXPECT_EQ(events_.sources[Source::kShared], 1);
  EXPECT_EQ(runs(), 1u);
}

TEST_F(SharedCacheTest, AFailureIsAMiss) {
  store_.slow = store_.refuses = true;
  const auto asked = Ask(RequestOf({1}));
  store_.Fail(absl::UnavailableError("no connection"));
  Run(0)->Reply(AnswerOf(5));
  EXPECT_EQ(Read(*asked).y, 5);
  EXPECT_EQ(events_.stores[StoreResult::kReadFailed], 1);
  EXPECT_EQ(events_.stores[StoreResult::kWriteFailed], 1);
  // Kept here all the same.
  EXPECT_EQ(Read(*Ask(RequestOf({1}))).y, 5);
  EXPECT_EQ(runs(), 1u);
}

TEST_F(SharedCacheTest, WhoLeavesDuringTheReadCausesNoRun) {
  store_.slow = true;
  const auto asked = Ask(RequestOf({1}));
  asked->call->Cancel();
  EXPECT_TRUE(absl::IsCancelled(asked->reply->status));
  store_.Fail(absl::UnavailableError("no connection"));
  EXPECT_EQ(runs(), 0u);
  EXPECT_EQ(events_.open, 0u);
}

TEST_F(SharedCacheTest, TheTimeOfAnAnswerIsNotProlongedByReadingIt) {
  SetPolicy({.version = "v1", .ttl = absl::Seconds(10), .max_entry_bytes = 1 << 20});
  Ask(RequestOf({1}));
  Run(0)->Reply(AnswerOf(5));
  clock_.Advance(absl::Seconds(6));
  Restart();
  EXPECT_EQ(Read(*Ask(RequestOf({1}))).y, 5);
  clock_.Advance(absl::Seconds(4));
  Ask(RequestOf({1}));
  EXPECT_EQ(runs(), 2u);
}

TEST_F(SharedCacheTest, LargeAnswersStayInThisProcess) {
  // 2,800 bytes of input and more than 2,000 of an answer.
  const std::vector<OutParameter> note = {{"note", std::string(2000, 'x')}};
  Ask(RequestOf(std::vector<float>(700, 1)));
  Run(0)->Reply(AnswerOf(5, note));
  EXPECT_TRUE(store_.keys.empty());
  Ask(RequestOf(std::vector<float>(2000, 1)));  // the key alone is too large to be there
  EXPECT_EQ(store_.deadlines.size(), 1u);
  EXPECT_EQ(Read(*Ask(RequestOf(std::vector<float>(700, 1)))).y, 5);
}

CacheDigest OneForAll(absl::string_view, const Bytes&) { return {}; }

TEST_F(SharedCacheTest, CollidingDigestsReturnNoWrongAnswer) {
  Build(1 << 20, &OneForAll, &shared_);
  Ask(RequestOf({1}));
  Run(0)->Reply(AnswerOf(1));
  Build(1 << 20, &OneForAll, &shared_);
  const auto other = Ask(RequestOf({2}));
  EXPECT_FALSE(other->reply.has_value());
  ASSERT_EQ(runs(), 2u);
  Run(1)->Reply(AnswerOf(2));
  EXPECT_EQ(Read(*other).y, 2);
  EXPECT_EQ(store_.keys.at(0), store_.keys.at(1));
}

TEST(SharedCacheValueTest, ReadsBackWhatWasWritten) {
  const CacheKey key{.head = "head", .tensors = Bytes(std::string("tensors")), .digest = {}};
  const absl::Time until = absl::FromUnixMicros(1'234'567);
  const DecodedShared read =
      DecodeShared(EncodeShared(key, {Bytes(std::string("body"))}, until), key);
  ASSERT_NE(read.answer, nullptr);
  EXPECT_EQ(read.answer->body.ToString(), "body");
  EXPECT_EQ(read.until, until);
}

TEST(SharedCacheValueTest, WhatIsCutOrOfAnotherKeyOrSchemaIsNoAnswer) {
  const CacheKey key{.head = "head", .tensors = Bytes(std::string("tensors")), .digest = {}};
  const CacheKey other{.head = "headt", .tensors = Bytes(std::string("ensors")), .digest = {}};
  std::string value = EncodeShared(key, {Bytes()}, absl::FromUnixMicros(1));
  EXPECT_EQ(DecodeShared(value, other).answer, nullptr);
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_EQ(DecodeShared(absl::string_view(value).substr(0, size), key).answer, nullptr) << size;
  }
  value.replace(value.find("answer-1"), 8, "answer-2");
  EXPECT_EQ(DecodeShared(value, key).answer, nullptr);
  // Lengths that no value of this size can have.
  EXPECT_EQ(DecodeShared("penstock-answer-1\n" + std::string(40, '\xff'), key).answer, nullptr);
}

}  // namespace
}  // namespace penstock::gateway
