#include "gateway/caching/cache_options.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

using ::testing::HasSubstr;

TEST(CacheOptionsTest, UnsetIsADefault) {
  const auto options = ReadCacheOptions({});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->max_bytes, size_t{64} << 20);
  EXPECT_EQ(options->store, "");
  EXPECT_EQ(options->store_timeout, absl::Milliseconds(20));
  EXPECT_EQ(options->max_store_entry_bytes, size_t{256} << 10);
}

TEST(CacheOptionsTest, NoneIsNone) {
  config::v1::ResponseCache config;
  config.set_max_bytes(0);
  EXPECT_EQ(ReadCacheOptions(config)->max_bytes, 0u);
  config.set_store("memory://");
  EXPECT_THAT(ReadCacheOptions(config).status().message(), HasSubstr("cache.store"));
}

TEST(CacheOptionsTest, WhatIsOutOfRangeIsNamed) {
  config::v1::ResponseCache config;
  config.set_max_bytes((uint64_t{1} << 40) + 1);
  EXPECT_THAT(ReadCacheOptions(config).status().message(), HasSubstr("cache.max_bytes"));
  config.clear_max_bytes();
  config.set_max_store_entry_bytes(1023);
  EXPECT_THAT(ReadCacheOptions(config).status().message(),
              HasSubstr("cache.max_store_entry_bytes is 1023"));
  config.clear_max_store_entry_bytes();
  config.mutable_store_timeout()->set_seconds(11);
  EXPECT_THAT(ReadCacheOptions(config).status().message(), HasSubstr("cache.store_timeout is 11s"));
}

}  // namespace
}  // namespace penstock::gateway
