#include "kernels/block_pool/block_pool.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using BlockPoolTest = KernelTest<BlockPoolImpl, BlockPoolImpls>;
INSTANTIATE_TEST_SUITE_P(All, BlockPoolTest, testing::ValuesIn(Names(BlockPoolImpls())), ParamName);

constexpr uint8_t kAllPools = kPoolMax | kPoolMin | kPoolMean;

BlockPoolWeights Shape(int64_t gate_heads, int64_t group, int64_t head_dim, int64_t block,
                       uint8_t pools, float rope_base) {
  BlockPoolWeights w;
  w.gate_heads = gate_heads;
  w.group = group;
  w.head_dim = head_dim;
  w.block = block;
  w.pools = pools;
  w.rope_base = rope_base;
  return w;
}

PackedBlockPool RandomPool(const BlockPoolWeights& shape, int64_t dim, uint32_t seed) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.inputs()));
  return PackedBlockPool(RandomFloats(shape.gate_heads * dim * shape.inputs(), seed, scale).data(),
                         dim, shape);
}

// One head whose projection is the identity, without rotation: y is the pools.
PackedBlockPool Plain(int64_t head_dim, int64_t block, uint8_t pools) {
  const BlockPoolWeights shape = Shape(1, 1, head_dim, block, pools, 0);
  std::vector<float> identity(static_cast<size_t>(shape.inputs() * shape.inputs()));
  for (int64_t i = 0; i < shape.inputs(); ++i) {
    identity[static_cast<size_t>(i * shape.inputs() + i)] = 1;
  }
  return PackedBlockPool(identity.data(), shape.inputs(), shape);
}

// The sequences' lengths say how many there are. Output poisoned before.
std::vector<float> Compute(const BlockPoolImpl& impl, BlockPoolArgs args,
                           const std::vector<float>& x, const std::vector<int32_t>& length) {
  args.sequences = static_cast<int64_t>(length.size());
  const int64_t dim = args.w.gate_heads > 0 ? args.w.project[0].out : 0;
  std::vector<float> y = Poison(args.sequences * args.w.gate_heads * args.most_blocks * dim);
  GuardedWorkspace workspace(BlockPoolWorkspaceBytes(args.w));
  args.x = x.data();
  args.length = length.data();
  args.y = y.data();
  args.workspace = workspace.get();
  EXPECT_TRUE(impl.run(args).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

BlockPoolArgs Args(const BlockPoolWeights& w, int64_t most_blocks) {
  BlockPoolArgs args;
  args.w = w;
  args.most_blocks = most_blocks;
  return args;
}

TEST_P(BlockPoolTest, PoolsEachBlockAndAPartialLastOne) {
  const PackedBlockPool pool = Plain(2, 2, kAllPools);
  const std::vector<float> x = {1, -4, 3, 2, 7, 8, kNan, kNan};  // 3 positions of 4
  std::vector<float> y = Compute(impl(), Args(pool.weights(), 2), x, {3});
  EXPECT_EQ(y, (std::vector<float>{3, 2, 1, -4, 2, -1, 7, 8, 7, 8, 7, 8}));
  const PackedBlockPool some = Plain(2, 2, kPoolMin | kPoolMean);
  y = Compute(impl(), Args(some.weights(), 2), x, {2});
  y.resize(4);  // the second block is not written
  EXPECT_EQ(y, (std::vector<float>{1, -4, 2, -1}));
}

// A quarter turn a block: element 0 goes to element 1 (of dim 2 its frequency is 1).
TEST_P(BlockPoolTest, RotatesByPosition) {
  BlockPoolWeights shape = Shape(1, 1, 2, 1, kPoolMean, 10000);
  const std::vector<float> identity = {1, 0, 0, 1}, x = {1, 0, 1, 0, 1, 0};
  const PackedBlockPool pool(identity.data(), 2, shape);
  BlockPoolArgs args = Args(pool.weights(), 3);
  const int64_t first = 5;
  args.rope_first = &first;
  args.rope_step = 2;
  const std::vector<float> y = Compute(impl(), args, x, {3});
  for (size_t j = 0; j < 3; ++j) {
    const double angle = 5 + 2 * static_cast<double>(j);
    EXPECT_NEAR(y[2 * j], std::cos(angle), 1e-6);
    EXPECT_NEAR(y[2 * j + 1], std::sin(angle), 1e-6);
  }
}

// What a rotation is for: products depend on the distance only, at any position.
TEST_P(BlockPoolTest, RotatedProductsDependOnTheDistance) {
  constexpr int64_t kDim = 24;
  const BlockPoolWeights shape = Shape(1, 1, kDim, 1, kPoolMean, 10000);
  const PackedBlockPool pool = RandomPool(shape, kDim, 3);
  const std::vector<float> x = RandomFloats(kDim, 4);
  const auto at = [&](int64_t position) {
    BlockPoolArgs args = Args(pool.weights(), 1);
    args.rope_first = &position;
    return Compute(impl(), args, x, {1});
  };
  const auto product = [&](int64_t i, int64_t j) {
    const std::vector<float> a = at(i), b = at(j);
    double sum = 0;
    for (size_t c = 0; c < kDim; ++c) sum += static_cast<double>(a[c]) * static_cast<double>(b[c]);
    return sum;
  };
  const double near = product(3, 10);
  EXPECT_GT(std::abs(near - product(0, 0)), 1e-3);
  EXPECT_NEAR(product(1000003, 1000010), near, 1e-5 * std::abs(product(0, 0)));
}

// One line reproduces a failure: seed and shape.
TEST_P(BlockPoolTest, RandomShapesMatchReferenceTwiceToTheBit) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 bits(seed);
    const auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(bits() % static_cast<uint32_t>(high - low + 1));
    };
    const uint8_t pools = static_cast<uint8_t>(draw(1, 7));
    const BlockPoolWeights shape = Shape(draw(1, 3), draw(1, 4), draw(1, 40), draw(1, 20), pools,
                                         draw(0, 1) == 0 ? 0.0f : 500.0f);
    const int64_t dim = 2 * draw(1, 20), most = draw(1, 70);
    std::vector<int32_t> length;
    for (int64_t s = draw(1, 3); s > 0; --s) {
      length.push_back(static_cast<int32_t>(draw(0, most * shape.block)));
    }
    const std::string what =
        "seed " + std::to_string(seed) + " gate heads " + std::to_string(shape.gate_heads) +
        " group " + std::to_string(shape.group) + " head_dim " + std::to_string(shape.head_dim) +
        " block " + std::to_string(shape.block) + " pools " + std::to_string(pools) + " dim " +
        std::to_string(dim) + " most_blocks " + std::to_string(most) + " sequences " +
        std::to_string(length.size());
    const PackedBlockPool pool = RandomPool(shape, dim, seed);
    const int64_t positions = static_cast<int64_t>(length.size()) * most * shape.block;
    const std::vector<float> x =
        RandomFloats(positions * shape.gate_heads * shape.group * shape.head_dim, seed + 1);
    const BlockPoolArgs args = Args(pool.weights(), most);
    const std::vector<float> a = Compute(impl(), args, x, length);
    std::vector<float> e = Compute(reference(), args, x, length);
    EXPECT_TRUE(
        SameBits(a.data(), Compute(impl(), args, x, length).data(), static_cast<int64_t>(a.size())))
        << what;
    std::vector<float> written;
    for (size_t i = 0, w = 0; i < a.size(); ++i) {
      ASSERT_EQ(std::isnan(a[i]), std::isnan(e[i])) << what;  // left alone
      if (std::isnan(e[i])) continue;
      written.push_back(a[i]);
      e[w++] = e[i];
    }
    e.resize(written.size());
    EXPECT_LE(RelativeError(written, e), kTolerance) << what;
  }
}

// As many blocks as share a product and more, one at a time, and from first_block on.
TEST_P(BlockPoolTest, BlockAloneEqualsBlockAmongOthers) {
  constexpr int64_t kBlocks = 2 * kPoolRows + 3, kBlock = 4, kHead = 10, kDim = 12;
  const BlockPoolWeights shape = Shape(2, 2, kHead, kBlock, kAllPools, 10000);
  const PackedBlockPool pool = RandomPool(shape, kDim, 5);
  const std::vector<float> x = RandomFloats(4 * kBlocks * kBlock * kHead, 6);
  const std::vector<float> all =
      Compute(impl(), Args(pool.weights(), kBlocks), x, {kBlocks * kBlock - 1});
  for (int32_t j = 0; j < kBlocks; ++j) {
    BlockPoolArgs args = Args(pool.weights(), kBlocks);
    args.first_block = &j;
    const int32_t end = std::min<int32_t>((j + 1) * kBlock, kBlocks * kBlock - 1);
    const std::vector<float> y = Compute(impl(), args, x, {end});
    for (int64_t h = 0; h < 2; ++h) {
      const int64_t at = (h * kBlocks + j) * kDim;
      ASSERT_TRUE(SameBits(y.data() + at, all.data() + at, kDim)) << j << " " << h;
      ASSERT_TRUE(j == 0 || std::isnan(y[static_cast<size_t>(at - 1)])) << j;  // left alone
    }
  }
}

// Heads side by side in each position, as queries come, equal heads one after the other.
TEST_P(BlockPoolTest, StridesReadAnyLayout) {
  constexpr int64_t kPositions = 10, kHeads = 6, kHead = 7;
  const PackedBlockPool pool = RandomPool(Shape(2, 3, kHead, 4, kAllPools, 100), 8, 7);
  const std::vector<float> x = RandomFloats(12 * kHeads * kHead, 8);
  std::vector<float> by_position(static_cast<size_t>(kPositions * kHeads * kHead));
  for (int64_t h = 0; h < kHeads; ++h) {
    for (int64_t p = 0; p < kPositions; ++p) {
      std::copy_n(x.begin() + (h * 12 + p) * kHead, kHead,
                  by_position.begin() + (p * kHeads + h) * kHead);
    }
  }
  BlockPoolArgs args = Args(pool.weights(), 3);
  const std::vector<float> expected = Compute(impl(), args, x, {kPositions});
  args.position_stride = kHeads * kHead;
  args.head_stride = kHead;
  args.sequence_stride = kPositions * kHeads * kHead;
  EXPECT_EQ(Compute(impl(), args, by_position, {kPositions}), expected);
}

TEST_P(BlockPoolTest, NanStaysInItsBlockAndGateHead) {
  constexpr int64_t kHead = 9, kBlock = 3, kDim = 8;
  for (uint8_t pools : {kPoolMax, kPoolMin, kPoolMean}) {
    const PackedBlockPool pool = RandomPool(Shape(2, 1, kHead, kBlock, pools, 10000), kDim, 9);
    for (int64_t position : {3, 4, 5}) {
      std::vector<float> x = RandomFloats(2 * 4 * kBlock * kHead, 10);
      x[static_cast<size_t>((4 * kBlock + position) * kHead + 8)] = kNan;  // head 1, block 1
      const std::vector<float> y = Compute(impl(), Args(pool.weights(), 4), x, {4 * kBlock});
      for (int64_t i = 0; i < 2 * 4 * kDim; ++i) {
        EXPECT_EQ(std::isnan(y[static_cast<size_t>(i)]), i / kDim == 4 + 1)
            << i << " pool " << int{pools} << " position " << position;
      }
    }
  }
}

TEST_P(BlockPoolTest, InfinityIsAnExtremeAndNoNan) {
  const PackedBlockPool pool = Plain(1, 3, kPoolMax);
  EXPECT_EQ(Compute(impl(), Args(pool.weights(), 1), {1, kInf, -kInf}, {3}),
            (std::vector<float>{kInf}));
}

TEST_P(BlockPoolTest, EmptyWorkAndBadArguments) {
  BlockPoolArgs none;
  EXPECT_TRUE(impl().run(none).ok());
  const PackedBlockPool pool = RandomPool(Shape(2, 1, 4, 2, kAllPools, 10000), 6, 11);
  const std::vector<float> x(2 * 3 * 2 * 4, 1.0f);
  std::vector<float> y(2 * 3 * 6, 7.0f);
  GuardedWorkspace workspace(BlockPoolWorkspaceBytes(pool.weights()));
  int32_t length = 6;
  BlockPoolArgs good = Args(pool.weights(), 3);
  good.sequences = 1;
  good.x = x.data();
  good.length = &length;
  good.y = y.data();
  good.workspace = workspace.get();
  const auto refused = [&](auto change) {
    BlockPoolArgs args = good;
    change(&args);
    return impl().run(args).code == Code::kInvalidArgument;
  };
  const int32_t negative = -1, beyond = 7;
  std::vector<LinearWeights> other(pool.weights().project, pool.weights().project + 2);
  other[1].in = 5;
  EXPECT_TRUE(refused([&](BlockPoolArgs* a) { a->w.project = other.data(); }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { a->w.pools = 0; }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { a->w.pools = 8; }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { a->w.block = 0; }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { a->w.group = 2; }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { a->w.rope_base = kNan; }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { a->most_blocks = -1; }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { a->head_stride = -1; }));
  EXPECT_TRUE(refused([&](BlockPoolArgs* a) { a->length = &beyond; }));
  EXPECT_TRUE(refused([&](BlockPoolArgs* a) { a->length = &negative; }));
  EXPECT_TRUE(refused([&](BlockPoolArgs* a) { a->first_block = &negative; }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { a->x = nullptr; }));
  EXPECT_TRUE(refused([](BlockPoolArgs* a) { --a->workspace.bytes; }));
  EXPECT_EQ(y, std::vector<float>(2 * 3 * 6, 7.0f));
  const PackedBlockPool odd = RandomPool(Shape(1, 1, 4, 2, kAllPools, 10000), 5, 12);
  EXPECT_TRUE(refused([&](BlockPoolArgs* a) { a->w = odd.weights(); }));
  length = 0;
  EXPECT_TRUE(impl().run(good).ok());
  EXPECT_EQ(y, std::vector<float>(2 * 3 * 6, 7.0f));
}

}  // namespace
}  // namespace penstock::kernels
