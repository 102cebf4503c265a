#include "gateway/identity/token_cache.h"

#include <string>

#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

TokenHolder Holder(const std::string& tenant, absl::Duration life = absl::Minutes(1)) {
  TokenHolder holder;
  holder.principal.tenant = tenant;
  holder.until = kNow + life;
  return holder;
}

std::string TenantOf(TokenCache& cache, absl::string_view token, absl::Time now = kNow) {
  const auto principal = cache.Find(Sha256(token), now);
  return principal.has_value() ? principal->tenant : "";
}

TEST(TokenCacheTest, KnowsATokenUntilItExpires) {
  TokenCache cache(10);
  cache.Keep(Sha256("a"), Holder("alice"));
  EXPECT_EQ(TenantOf(cache, "a", kNow + absl::Seconds(59)), "alice");
  EXPECT_EQ(TenantOf(cache, "b"), "");
  EXPECT_EQ(TenantOf(cache, "a", kNow + absl::Minutes(1)), "");
  EXPECT_EQ(cache.size(), 0u);
}

TEST(TokenCacheTest, ForgetsTheTokenLongestUnused) {
  TokenCache cache(2);
  cache.Keep(Sha256("a"), Holder("alice"));
  cache.Keep(Sha256("b"), Holder("bob"));
  EXPECT_EQ(TenantOf(cache, "a"), "alice");
  cache.Keep(Sha256("c"), Holder("carol"));
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(TenantOf(cache, "a"), "alice");
  EXPECT_EQ(TenantOf(cache, "b"), "");
  EXPECT_EQ(TenantOf(cache, "c"), "carol");
}

TEST(TokenCacheTest, KeepsATokenOnce) {
  TokenCache cache(2);
  cache.Keep(Sha256("a"), Holder("alice"));
  cache.Keep(Sha256("a"), Holder("alice"));
  EXPECT_EQ(cache.size(), 1u);
}

TEST(TokenCacheTest, OfNoCapacityKeepsNothing) {
  TokenCache cache(0);
  cache.Keep(Sha256("a"), Holder("alice"));
  EXPECT_EQ(TenantOf(cache, "a"), "");
}

}  // namespace
}  // namespace penstock::gateway
