#include "router_service/gating/count_gate.h"

#include <string>
#include <vector>

#include "common/tensors/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

TEST(CountGate, IsTheLargestAndOfEqualsTheFewest) {
  const CountGate gate({0, 1, 2}, {0, 0, -1});
  EXPECT_EQ(gate.Count({-1}), 1u);
  EXPECT_EQ(gate.Count({0}), 1u);     // 0, 0, -1
  EXPECT_EQ(gate.Count({0.5f}), 2u);  // 0, .5, 0
  EXPECT_EQ(gate.Count({1}), 2u);     // 0, 1, 1
  EXPECT_EQ(gate.Count({2}), 3u);     // 0, 2, 3
  EXPECT_EQ(gate.most(), 3u);
}

TEST(CountGate, ReadsAFileOfItsFeatures) {
  const std::string path = ProcessTempDir() + "count.safetensors";
  ASSERT_TRUE(WriteSafetensors(
                  path, {{"count_weight", {2, 2}, {0, 0, 1, 0}}, {"count_bias", {2}, {0, 0}}}, {})
                  .ok());
  const auto gate = CountGate::Open(path, 2);
  ASSERT_TRUE(gate.ok()) << gate.status();
  EXPECT_EQ((*gate)->Count({1, 0}), 2u);
  EXPECT_EQ((*gate)->Count({-1, 0}), 1u);
  EXPECT_THAT(std::string(CountGate::Open(path, 3).status().message()),
              HasSubstr("wanted 3 features each"));
}

}  // namespace
}  // namespace penstock::router
