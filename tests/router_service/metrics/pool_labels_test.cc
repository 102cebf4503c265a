#include "router_service/metrics/pool_labels.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(PoolLabelsTest, PoolsBeyondTheCapAreOther) {
  PoolLabels labels;
  for (size_t i = 0; i < PoolLabels::kMostPools; ++i) {
    EXPECT_EQ(labels.LabelOf(absl::StrCat("pool", i)), absl::StrCat("pool", i));
  }
  EXPECT_FALSE(labels.Admit("late"));
  EXPECT_EQ(labels.LabelOf("late"), "other");
  EXPECT_EQ(labels.LabelOf("late", "expert"), "other");
  EXPECT_TRUE(labels.Admit("pool7"));  // who has its place keeps it
}

TEST(PoolLabelsTest, ExpertsBeyondTheCapAreOther) {
  PoolLabels labels;
  for (size_t i = 0; i < PoolLabels::kMostExperts; ++i) {
    ASSERT_TRUE(labels.Admit(absl::StrCat("pool", i % 10), absl::StrCat("expert", i)));
  }
  EXPECT_FALSE(labels.Admit("pool1", "late"));
  EXPECT_EQ(labels.LabelOf("pool1", "late"), "other");
  EXPECT_EQ(labels.LabelOf("pool1", "expert1"), "expert1");
  EXPECT_EQ(labels.LabelOf("pool1"), "pool1");
}

// Counters of "other" are of experts of any pool; gauges are not summed up.
TEST(PoolLabelsTest, APoolThatIsNamedOtherIsCountedAmongTheOthers) {
  PoolLabels labels;
  EXPECT_EQ(labels.LabelOf("other"), "other");
  EXPECT_EQ(labels.LabelOf("other", "expert"), "other");
  EXPECT_TRUE(labels.Admit("other"));
  EXPECT_TRUE(labels.Admit("other", "expert"));
}

}  // namespace
}  // namespace penstock::router
