#include "common/store/memory_store.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/common/store/blocking_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::Eq;
using testing::HasSubstr;
using testing::Optional;

constexpr absl::Duration kTtl = absl::Seconds(10);

class MemoryStoreTest : public testing::Test {
 protected:
  FakeClock clock_;
  MemoryStore store_{clock_, 3};
  BlockingStore calls_{store_, clock_};
};

TEST_F(MemoryStoreTest, AddsUpPerNameAndWindow) {
  EXPECT_THAT(store_.AddNow("joules", 1, 5, kTtl), IsOkAndHolds(5));
  EXPECT_THAT(store_.AddNow("joules", 1, -2, kTtl), IsOkAndHolds(3));
  EXPECT_THAT(store_.AddNow("joules", 2, 7, kTtl), IsOkAndHolds(7));
  EXPECT_THAT(store_.ReadNow("joules", 1), IsOkAndHolds(3));
  EXPECT_THAT(store_.ReadNow("joules", 3), IsOkAndHolds(0));
}

TEST_F(MemoryStoreTest, ACounterExpiresByItsFirstAdd) {
  ASSERT_THAT(store_.AddNow("joules", 1, 5, kTtl), IsOk());
  clock_.Advance(absl::Seconds(9));
  EXPECT_THAT(store_.AddNow("joules", 1, 5, kTtl), IsOkAndHolds(10));
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(store_.ReadNow("joules", 1), IsOkAndHolds(0));
  EXPECT_THAT(store_.AddNow("joules", 1, 5, kTtl), IsOkAndHolds(5));
}

TEST_F(MemoryStoreTest, OverflowAddsNothing) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  ASSERT_THAT(store_.AddNow("joules", 1, kMost, kTtl), IsOk());
  EXPECT_THAT(store_.AddNow("joules", 1, 1, kTtl), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(store_.ReadNow("joules", 1), IsOkAndHolds(kMost));
}

TEST_F(MemoryStoreTest, AValueExpiresByItsLastPut) {
  ASSERT_THAT(calls_.Put("key", "a", kTtl), IsOk());
  clock_.Advance(absl::Seconds(9));
  ASSERT_THAT(calls_.Put("key", "b", kTtl), IsOk());
  clock_.Advance(absl::Seconds(9));
  EXPECT_THAT(calls_.Get("key"), IsOkAndHolds(Optional(std::string("b"))));
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(calls_.Get("key"), IsOkAndHolds(Eq(std::nullopt)));
}

TEST_F(MemoryStoreTest, EraseMakesRoom) {
  MemoryStore store(clock_, 1);
  BlockingStore calls(store, clock_);
  ASSERT_THAT(calls.Put("a", "1", kTtl), IsOk());
  EXPECT_THAT(calls.Put("b", "2", kTtl), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_THAT(calls.Erase("a"), IsOk());
  EXPECT_THAT(calls.Put("b", "2", kTtl), IsOk());
}

TEST_F(MemoryStoreTest, BytesAreBounded) {
  MemoryStore store(clock_, 100, /*max_bytes=*/10);
  BlockingStore calls(store, clock_);
  ASSERT_THAT(calls.Put("a", "123456789", kTtl), IsOk());
  EXPECT_THAT(calls.Put("b", "", kTtl),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("10 bytes")));
  EXPECT_THAT(calls.AddCounters("c", 1, {{"d", 1}}, kTtl),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(calls.Put("a", "1234567890", kTtl), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(calls.Get("a"), IsOkAndHolds(Optional(std::string("123456789"))));
  ASSERT_THAT(calls.Put("a", "1", kTtl), IsOk());
  EXPECT_THAT(calls.AddCounters("c", 1, {{"d", 1}}, kTtl), IsOk());
  clock_.Advance(kTtl);
  EXPECT_THAT(calls.Put("a", "123456789", kTtl), IsOk());
}

TEST_F(MemoryStoreTest, NamesOfDifferentKindsAreApart) {
  ASSERT_THAT(calls_.Put("x", "value", kTtl), IsOk());
  ASSERT_THAT(store_.AddNow("x", 0, 1, kTtl), IsOk());
  ASSERT_THAT(calls_.AcquireLease("x", "owner", kTtl), IsOk());
  EXPECT_THAT(calls_.Get("x"), IsOkAndHolds(Optional(std::string("value"))));
  EXPECT_THAT(store_.ReadNow("x", 0), IsOkAndHolds(1));
  EXPECT_THAT(calls_.ReadTotals("x", 0), IsOkAndHolds(testing::IsEmpty()));
}

TEST_F(MemoryStoreTest, RefusesKeysBeyondTheLimitUntilOneExpires) {
  for (int64_t window = 0; window < 3; ++window) {
    ASSERT_THAT(store_.AddNow("joules", window, 1, kTtl), IsOk());
  }
  EXPECT_THAT(store_.AddNow("joules", 3, 1, kTtl),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("3 keys")));
  EXPECT_THAT(calls_.Put("key", "a", kTtl), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(calls_.RaiseTotals("t", 1, {{"a", 1}}, kTtl),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(store_.AddNow("joules", 2, 1, kTtl), IsOkAndHolds(2));
  clock_.Advance(kTtl);
  EXPECT_THAT(calls_.Put("key", "a", kTtl), IsOk());
}

TEST_F(MemoryStoreTest, RefusesATimeToLiveOfNothing) {
  EXPECT_THAT(store_.AddNow("joules", 1, 1, absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(calls_.Put("key", "a", -kTtl), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(MemoryStoreTest, KeepsForever) {
  ASSERT_THAT(store_.AddNow("joules", 1, 1, absl::InfiniteDuration()), IsOk());
  clock_.Advance(absl::Hours(100'000));
  EXPECT_THAT(store_.ReadNow("joules", 1), IsOkAndHolds(1));
}

TEST_F(MemoryStoreTest, AMessagePublishedInsideAMessageComesAfterIt) {
  std::vector<std::string> heard;
  ASSERT_OK_AND_ASSIGN(const auto subscription,
                       store_.Subscribe("news", nullptr, [&](absl::string_view message) {
                         heard.push_back(absl::StrCat("<", message));
                         if (message == "a") {
                           EXPECT_THAT(calls_.Publish("news", "b"), IsOk());
                         }
                         heard.push_back(absl::StrCat(message, ">"));
                       }));
  ASSERT_THAT(calls_.Publish("news", "a"), IsOk());
  EXPECT_THAT(heard, testing::ElementsAre("<a", "a>", "<b", "b>"));
}

TEST_F(MemoryStoreTest, NoAddIsLostBetweenThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        ASSERT_THAT(store_.AddNow("joules", n % 2, 1, kTtl), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(store_.ReadNow("joules", 0), IsOkAndHolds(2000));
  EXPECT_THAT(store_.ReadNow("joules", 1), IsOkAndHolds(2000));
}

TEST(MakeStoreTest, MakesMemory) {
  FakeClock clock;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store, MakeStore("memory://", clock, 1));
  EXPECT_THAT(BlockingStore(*store, clock).Put("a", "b", kTtl), IsOk());
  EXPECT_THAT(MakeStore("", clock, 1), IsOk());
}

TEST(MakeStoreTest, NamesWhatIsSupported) {
  FakeClock clock;
  EXPECT_THAT(MakeStore("etcd://localhost", clock, 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("store 'etcd://localhost': is not supported, wanted memory://")));
}

}  // namespace
}  // namespace penstock
