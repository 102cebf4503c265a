#include "kernels/block_gate/block_gate.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using BlockGateTest = KernelTest<BlockGateImpl, BlockGateImpls>;
INSTANTIATE_TEST_SUITE_P(All, BlockGateTest, testing::ValuesIn(Names(BlockGateImpls())), ParamName);

struct Kept {
  std::vector<int32_t> index, count;
  int64_t not_finite = 0;
};

BlockGateArgs Args(int64_t dim, int64_t most_blocks, float threshold, int64_t budget) {
  BlockGateArgs args;
  args.dim = dim;
  args.most_blocks = most_blocks;
  args.threshold = threshold;
  args.budget = budget;
  return args;
}

// args.rows from the size of blocks; outputs poisoned before.
Kept Compute(const BlockGateImpl& impl, BlockGateArgs args, const std::vector<float>& q,
             const std::vector<float>& keys, const std::vector<int32_t>& blocks,
             const std::vector<int32_t>& keyed = {}) {
  args.rows = static_cast<int64_t>(blocks.size()) / args.queries;
  Kept kept = {std::vector<int32_t>(blocks.size() * static_cast<size_t>(args.most_blocks), -77),
               std::vector<int32_t>(blocks.size(), -77)};
  GuardedWorkspace workspace(BlockGateWorkspaceBytes(args.most_blocks));
  args.q = q.data();
  args.keys = keys.data();
  args.blocks = blocks.data();
  if (!keyed.empty()) args.keyed = keyed.data();
  args.index = kept.index.data();
  args.count = kept.count.data();
  args.not_finite = &kept.not_finite;
  args.workspace = workspace.get();
  EXPECT_TRUE(impl.run(args).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return kept;
}

// One line reproduces a failure: seed and shape.
TEST_P(BlockGateTest, RandomShapesMatchReference) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 bits(seed);
    const auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(bits() % static_cast<uint32_t>(high - low + 1));
    };
    const int64_t rows = draw(1, 4), queries = draw(1, 5), dim = draw(1, 70), most = draw(1, 130);
    BlockGateArgs args =
        Args(dim, most, 1e-4f * static_cast<float>(draw(0, 300)), draw(0, 1) * draw(1, most + 5));
    args.queries = queries;
    args.keep_first = draw(0, 1) == 1;
    const std::string what = "seed " + std::to_string(seed) + " rows " + std::to_string(rows) +
                             " queries " + std::to_string(queries) + " dim " + std::to_string(dim) +
                             " most_blocks " + std::to_string(most) + " threshold " +
                             std::to_string(args.threshold) + " budget " +
                             std::to_string(args.budget);
    const std::vector<float> q = RandomFloats(rows * queries * dim, seed, 2.0f);
    const std::vector<float> keys = RandomFloats(rows * most * dim, seed + 1);
    std::vector<int32_t> blocks, keyed;
    for (int64_t i = 0; i < rows * queries; ++i) {
      blocks.push_back(static_cast<int32_t>(draw(0, most)));
      keyed.push_back(std::max<int32_t>(0, blocks.back() - static_cast<int32_t>(draw(0, 2))));
    }
    const Kept a = Compute(impl(), args, q, keys, blocks, keyed);
    const Kept e = Compute(reference(), args, q, keys, blocks, keyed);
    EXPECT_EQ(a.index, e.index) << what;
    EXPECT_EQ(a.count, e.count) << what;
    EXPECT_EQ(a.not_finite, 0) << what;
  }
}

TEST_P(BlockGateTest, LastAndFirstAreAlwaysKept) {
  BlockGateArgs args = Args(1, 5, 0.5f, 0);
  const std::vector<float> keys = {0, 0, 9, 0, 0};
  EXPECT_EQ(Compute(impl(), args, {1}, keys, {5}).index, (std::vector<int32_t>{0, 2, 4, -1, -1}));
  args.keep_first = false;
  EXPECT_EQ(Compute(impl(), args, {1}, keys, {5}).index, (std::vector<int32_t>{2, 4, -1, -1, -1}));
  args.threshold = 2;  // no softmax reaches it
  EXPECT_EQ(Compute(impl(), args, {1}, keys, {5}).index, (std::vector<int32_t>{4, -1, -1, -1, -1}));
  EXPECT_EQ(Compute(impl(), args, {1}, keys, {1}).index, (std::vector<int32_t>{0, -1, -1, -1, -1}));
}

// softmax(0, ln 3) = (1/4, 3/4).
TEST_P(BlockGateTest, ThresholdIsOfTheSoftmaxAndMustBeExceeded) {
  const std::vector<float> keys = {0, std::log(3.0f), -50};
  BlockGateArgs args = Args(1, 3, 0.2499f, 0);
  args.keep_first = false;
  EXPECT_EQ(Compute(impl(), args, {1}, keys, {3}).index, (std::vector<int32_t>{0, 1, 2}));
  args.threshold = 0.2501f;
  EXPECT_EQ(Compute(impl(), args, {1}, keys, {3}).index, (std::vector<int32_t>{1, 2, -1}));
  args.threshold = 0.5f;
  EXPECT_EQ(Compute(impl(), args, {1}, {1, 1}, {2}).index, (std::vector<int32_t>{1, -1, -1}));
}

TEST_P(BlockGateTest, BudgetTakesTheLargest) {
  BlockGateArgs args = Args(1, 7, 0, 4);
  const std::vector<float> keys = {-8, 3, -2, 5, 4, -1, -9};
  EXPECT_EQ(Compute(impl(), args, {1}, keys, {7}).index,
            (std::vector<int32_t>{0, 3, 4, 6, -1, -1, -1}));
  args.keep_first = false;
  EXPECT_EQ(Compute(impl(), args, {1}, keys, {7}).index,
            (std::vector<int32_t>{1, 3, 4, 6, -1, -1, -1}));
  // The other sign turns the order around.
  EXPECT_EQ(Compute(impl(), args, {-1}, keys, {7}).index,
            (std::vector<int32_t>{0, 2, 5, 6, -1, -1, -1}));
}

TEST_P(BlockGateTest, WhatIsAlwaysKeptMayExceedTheBudget) {
  EXPECT_EQ(Compute(impl(), Args(1, 4, 0, 1), {1}, {0, 9, 0, 0}, {4}).index,
            (std::vector<int32_t>{0, 3, -1, -1}));
}

TEST_P(BlockGateTest, TiesGoToTheLowerBlock) {
  EXPECT_EQ(Compute(impl(), Args(2, 8, 0, 4), {1, 1}, std::vector<float>(16, 1), {8}).index,
            (std::vector<int32_t>{0, 1, 2, 7, -1, -1, -1, -1}));
  // 0 and -0 are equal.
  BlockGateArgs args = Args(1, 5, 0, 3);
  args.keep_first = false;
  EXPECT_EQ(Compute(impl(), args, {1}, {-1, -0.0f, 0.0f, 0.0f, -1}, {5}).index,
            (std::vector<int32_t>{1, 2, 4, -1, -1}));
}

TEST_P(BlockGateTest, BudgetOfAllBlocksKeepsAll) {
  for (int64_t budget : {6, 7, 1000}) {
    const Kept kept =
        Compute(impl(), Args(3, 6, 0, budget), RandomFloats(3, 1), RandomFloats(18, 2), {6});
    EXPECT_EQ(kept.index, (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
  }
}

TEST_P(BlockGateTest, BrokenGateKeepsAllAndIsCounted) {
  for (int64_t budget : {0, 2}) {
    const std::vector<float> q = {1, 1, 1, 1};
    std::vector<float> keys(20, 0.5f);
    keys[7] = kNan;    // row 1
    keys[11] = kInf;   // row 2
    keys[15] = -kInf;  // row 3
    const Kept kept = Compute(impl(), Args(1, 5, 0.9f, budget), q, keys, {5, 4, 5, 3});
    EXPECT_EQ(kept.count, (std::vector<int32_t>{2, 4, 5, 3}));
    EXPECT_EQ(kept.not_finite, 3);
  }
  // A NaN query; a NaN key that is beyond what is seen breaks nothing.
  EXPECT_EQ(Compute(impl(), Args(1, 3, 0.9f, 0), {kNan}, {1, 2, 3}, {3}).count[0], 3);
  const Kept beyond = Compute(impl(), Args(1, 4, 0.9f, 0), {1}, {1, 2, 3, kNan}, {3});
  EXPECT_EQ(beyond.count[0], 2);
  EXPECT_EQ(beyond.not_finite, 0);
}

// The block being written has no key: its memory may hold anything.
TEST_P(BlockGateTest, BlocksWithoutAKeyAreKept) {
  BlockGateArgs args = Args(1, 6, 0, 3);
  args.keep_first = false;
  EXPECT_EQ(Compute(impl(), args, {1}, {1, 2, 3, kNan, kNan, 9}, {5}, {3}).index,
            (std::vector<int32_t>{2, 3, 4, -1, -1, -1}));
  args.budget = 0;
  args.threshold = 0.99f;
  EXPECT_EQ(Compute(impl(), args, {1}, {1, 2, 3, kNan, kNan, 9}, {5}, {0}).index,
            (std::vector<int32_t>{0, 1, 2, 3, 4, -1}));
}

TEST_P(BlockGateTest, NoBlocksKeepNone) {
  const Kept kept = Compute(impl(), Args(4, 3, 0, 1), RandomFloats(4, 1), RandomFloats(12, 2), {0});
  EXPECT_EQ(kept.count[0], 0);
  EXPECT_EQ(kept.index, (std::vector<int32_t>{-1, -1, -1}));
}

// Prefill: query i sees blocks 0 to i, its own last. What lies behind it changes nothing.
TEST_P(BlockGateTest, CausalQueriesOfARowShareItsKeys) {
  constexpr int64_t kBlocks = 12, kDim = 20;
  BlockGateArgs args = Args(kDim, kBlocks, 0.1f, 0);
  args.queries = kBlocks;
  const std::vector<float> q = RandomFloats(2 * kBlocks * kDim, 3, 2.0f);
  const std::vector<float> keys = RandomFloats(2 * kBlocks * kDim, 4);
  std::vector<int32_t> seen;
  for (int64_t i = 0; i < 2 * kBlocks; ++i) seen.push_back(static_cast<int32_t>(i % kBlocks + 1));
  const Kept all = Compute(impl(), args, q, keys, seen);
  args.queries = 1;
  for (int64_t i = 0; i < 2 * kBlocks; ++i) {
    std::vector<float> own(keys.begin() + i / kBlocks * kBlocks * kDim,
                           keys.begin() + (i / kBlocks + 1) * kBlocks * kDim);
    std::fill(own.begin() + (i % kBlocks + 1) * kDim, own.end(), kNan);
    const Kept alone = Compute(impl(), args, {q.begin() + i * kDim, q.begin() + (i + 1) * kDim},
                               own, {static_cast<int32_t>(i % kBlocks + 1)});
    EXPECT_TRUE(std::equal(alone.index.begin(), alone.index.end(), all.index.begin() + i * kBlocks))
        << i;
    EXPECT_EQ(all.index[static_cast<size_t>(i * kBlocks) +
                        static_cast<size_t>(all.count[static_cast<size_t>(i)]) - 1],
              i % kBlocks);
  }
}

TEST_P(BlockGateTest, RowAloneEqualsRowInBatch) {
  constexpr int64_t kRows = 67, kDim = 20, kBlocks = 19;
  const std::vector<float> q = RandomFloats(kRows * kDim, 5);
  const std::vector<float> keys = RandomFloats(kRows * kBlocks * kDim, 6);
  for (int64_t budget : {0, 5}) {
    const BlockGateArgs args = Args(kDim, kBlocks, 0.05f, budget);
    const Kept batch = Compute(impl(), args, q, keys, std::vector<int32_t>(kRows, kBlocks));
    for (int64_t t = 0; t < kRows; ++t) {
      const Kept alone = Compute(
          impl(), args, {q.begin() + t * kDim, q.begin() + (t + 1) * kDim},
          {keys.begin() + t * kBlocks * kDim, keys.begin() + (t + 1) * kBlocks * kDim}, {kBlocks});
      EXPECT_TRUE(
          std::equal(alone.index.begin(), alone.index.end(), batch.index.begin() + t * kBlocks));
    }
  }
}

TEST_P(BlockGateTest, EmptyWorkAndBadArguments) {
  EXPECT_TRUE(impl().run({}).ok());
  EXPECT_EQ(impl().run(Args(1, 1, kNan, 0)).code, Code::kInvalidArgument);
  EXPECT_EQ(impl().run(Args(1, 1, 0, -1)).code, Code::kInvalidArgument);
  BlockGateArgs args = Args(1, 2, 0, 1);
  args.rows = 1;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  const float numbers[] = {1, 1};
  int32_t blocks = 3, keyed = 1;  // more than most_blocks
  int32_t out[] = {7, 7, 7};
  GuardedWorkspace workspace(BlockGateWorkspaceBytes(2));
  args.q = args.keys = numbers;
  args.blocks = &blocks;
  args.index = out;
  args.count = out + 2;
  args.workspace = workspace.get();
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  blocks = 2;
  keyed = 3;
  args.keyed = &keyed;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  keyed = 1;
  --args.workspace.bytes;
  EXPECT_EQ(impl().run(args).code, Code::kInvalidArgument);
  for (int32_t o : out) EXPECT_EQ(o, 7);
  ++args.workspace.bytes;
  EXPECT_TRUE(impl().run(args).ok());
}

}  // namespace
}  // namespace penstock::kernels
