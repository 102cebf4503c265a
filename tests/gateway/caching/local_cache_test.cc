#include "gateway/caching/local_cache.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

constexpr size_t kBody = 1000;

CacheKey KeyOf(int number) {
  CacheKey key;
  key.head = std::to_string(number);
  key.digest = Sha256OfKey(key.head, key.tensors);
  return key;
}
std::shared_ptr<const KeptAnswer> AnswerOf(char c, size_t size = kBody) {
  return std::make_shared<const KeptAnswer>(KeptAnswer{Bytes(std::string(size, c))});
}
// What an entry with a key of one digit takes.
size_t EntrySize() { return 1 + kBody + LocalCache::Overhead(); }

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);
const absl::Time kLater = kNow + absl::Seconds(10);

TEST(LocalCacheTest, WhatWasNotAskedForLongestGoesFirst) {
  LocalCache cache(3 * EntrySize());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cache.Put(KeyOf(i), AnswerOf('a'), kLater), 0u);
  ASSERT_NE(cache.Find(KeyOf(0), kNow), nullptr);
  EXPECT_EQ(cache.Put(KeyOf(3), AnswerOf('a'), kLater), 1u);
  EXPECT_NE(cache.Find(KeyOf(0), kNow), nullptr);
  EXPECT_EQ(cache.Find(KeyOf(1), kNow), nullptr);
  EXPECT_NE(cache.Find(KeyOf(2), kNow), nullptr);
  EXPECT_NE(cache.Find(KeyOf(3), kNow), nullptr);
}

TEST(LocalCacheTest, CountsKeysAnswersAndWhatHoldsThem) {
  LocalCache cache(10 * EntrySize());
  cache.Put(KeyOf(1), AnswerOf('a'), kLater);
  EXPECT_EQ(cache.bytes(), EntrySize());
  cache.Put(KeyOf(12), AnswerOf('a'), kLater);
  EXPECT_EQ(cache.bytes(), 2 * EntrySize() + 1);
  cache.Put(KeyOf(1), AnswerOf('b', kBody - 7), kLater);
  EXPECT_EQ(cache.bytes(), 2 * EntrySize() + 1 - 7);
  EXPECT_EQ(cache.entries(), 2u);
}

TEST(LocalCacheTest, OneThatAloneExceedsTheBoundPutsNothingOut) {
  LocalCache cache(2 * EntrySize());
  cache.Put(KeyOf(1), AnswerOf('a'), kLater);
  EXPECT_EQ(cache.Put(KeyOf(2), AnswerOf('b', 3 * EntrySize()), kLater), 0u);
  EXPECT_EQ(cache.Find(KeyOf(2), kNow), nullptr);
  EXPECT_NE(cache.Find(KeyOf(1), kNow), nullptr);
}

TEST(LocalCacheTest, WhatIsOverIsNoLongerHeld) {
  LocalCache cache(10 * EntrySize());
  cache.Put(KeyOf(1), AnswerOf('a'), kLater);
  EXPECT_NE(cache.Find(KeyOf(1), kLater - absl::Nanoseconds(1)), nullptr);
  EXPECT_EQ(cache.Find(KeyOf(1), kLater), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
  EXPECT_EQ(cache.entries(), 0u);
}

TEST(LocalCacheTest, OfCollidingDigestsTheLatestIsKeptAndNoOtherServed) {
  LocalCache cache(10 * EntrySize());
  CacheKey one = KeyOf(1), two = KeyOf(2);
  one.digest = two.digest = {};
  cache.Put(one, AnswerOf('1'), kLater);
  EXPECT_EQ(cache.Find(two, kNow), nullptr);
  cache.Put(two, AnswerOf('2'), kLater);
  EXPECT_EQ(cache.Find(one, kNow), nullptr);
  ASSERT_NE(cache.Find(two, kNow), nullptr);
  EXPECT_EQ(cache.Find(two, kNow)->body.ToString()[0], '2');
  EXPECT_EQ(cache.entries(), 1u);
}

TEST(LocalCacheTest, AnAnswerOutlivesItsPlace) {
  LocalCache cache(EntrySize());
  cache.Put(KeyOf(1), AnswerOf('a'), kLater);
  const auto held = cache.Find(KeyOf(1), kNow);
  cache.Put(KeyOf(2), AnswerOf('b'), kLater);
  EXPECT_EQ(cache.Find(KeyOf(1), kNow), nullptr);
  EXPECT_EQ(held->body.ToString()[0], 'a');
}

}  // namespace
}  // namespace penstock::gateway
