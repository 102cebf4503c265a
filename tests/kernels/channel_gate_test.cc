#include "kernels/channel_gate/channel_gate.h"

#include <algorithm>
#include <numeric>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using ChannelGateTest = KernelTest<ChannelGateImpl, ChannelGateImpls>;
INSTANTIATE_TEST_SUITE_P(All, ChannelGateTest, testing::ValuesIn(Names(ChannelGateImpls())),
                         ParamName);

struct Kept {
  std::vector<int32_t> index, count;
};

Kept Compute(const ChannelGateImpl& impl, const std::vector<float>& logits, int64_t channels,
             int64_t block = 1) {
  const int64_t rows = channels > 0 ? static_cast<int64_t>(logits.size()) / channels : 2;
  Kept kept = {std::vector<int32_t>(static_cast<size_t>(rows * channels), -77),
               std::vector<int32_t>(static_cast<size_t>(rows), -77)};
  EXPECT_TRUE(
      impl.run({rows, channels, block, logits.data(), kept.index.data(), kept.count.data()}).ok());
  return kept;
}

TEST_P(ChannelGateTest, EqualsReference) {
  uint32_t seed = 0;
  for (int64_t channels : {1, 2, 7, 8, 9, 16, 31, 33, 100, 257}) {
    for (int64_t block : {1, 2, 5, 16, 32, 1000}) {
      ++seed;
      SCOPED_TRACE("channels=" + std::to_string(channels) + " block=" + std::to_string(block) +
                   " seed=" + std::to_string(seed));
      std::vector<float> logits = RandomFloats(40 * channels, seed);
      for (float& z : logits) z -= 1.5f;  // some rows keep nothing
      const Kept a = Compute(impl(), logits, channels, block);
      const Kept e = Compute(reference(), logits, channels, block);
      EXPECT_EQ(a.index, e.index);
      EXPECT_EQ(a.count, e.count);
    }
  }
}

TEST_P(ChannelGateTest, KeepsWhatIsAboveZero) {
  const Kept kept = Compute(impl(), {0.1f, 0, -0.0f, -1, 1e-30f, kInf}, 6);
  EXPECT_EQ(kept.index, (std::vector<int32_t>{0, 4, 5, -1, -1, -1}));
  EXPECT_EQ(kept.count[0], 3);
}

TEST_P(ChannelGateTest, EmptyRowKeepsItsFirstLargest) {
  const Kept kept =
      Compute(impl(), {-3, -1, -2, -1, 0, -0.0f, -kInf, 0, -kInf, -kInf, -kInf, -kInf}, 4);
  EXPECT_EQ(kept.count, (std::vector<int32_t>{1, 1, 1}));
  EXPECT_EQ(kept.index[0], 1);
  EXPECT_EQ(kept.index[4], 0);
  EXPECT_EQ(kept.index[8], 0);
}

TEST_P(ChannelGateTest, NanKeepsItsChannel) {
  for (int64_t channels : {3, 8, 21}) {
    std::vector<float> logits(static_cast<size_t>(channels), -1);
    logits[static_cast<size_t>(channels - 1)] = kNan;
    const Kept kept = Compute(impl(), logits, channels);
    EXPECT_EQ(kept.count[0], 1);
    EXPECT_EQ(kept.index[0], channels - 1);
  }
}

TEST_P(ChannelGateTest, BlocksAreKeptWhole) {
  const Kept kept = Compute(impl(), {-1, -1, -1, 1, -1, -1, 2}, 7, 3);
  EXPECT_EQ(kept.index, (std::vector<int32_t>{3, 4, 5, 6, -1, -1, -1}));
  EXPECT_EQ(Compute(impl(), {-5, -4, -1, -2}, 4, 2).index, (std::vector<int32_t>{2, 3, -1, -1}));
}

TEST_P(ChannelGateTest, AllAboveZeroKeepsAll) {
  const Kept kept = Compute(impl(), std::vector<float>(37, 0.5f), 37);
  std::vector<int32_t> all(37);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(kept.index, all);
}

TEST_P(ChannelGateTest, EmptyAndImpossible) {
  EXPECT_TRUE(impl().run({}).ok());
  EXPECT_EQ(Compute(impl(), {}, 0).count, (std::vector<int32_t>{0, 0}));
  EXPECT_EQ(impl().run({1, 1, 0, nullptr, nullptr, nullptr}).code, Code::kInvalidArgument);
  EXPECT_EQ(impl().run({1, 1, 1, nullptr, nullptr, nullptr}).code, Code::kInvalidArgument);
  EXPECT_EQ(impl().run({-1, 1, 1, nullptr, nullptr, nullptr}).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
