#include "kernels/block_sparse_attention/block_sparse_attention.h"

#include <algorithm>

#include "kernels/gated_attention/gated_attention.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using BlockSparseAttentionTest = KernelTest<BlockSparseAttentionImpl, BlockSparseAttentionImpls>;
INSTANTIATE_TEST_SUITE_P(All, BlockSparseAttentionTest,
                         testing::ValuesIn(Names(BlockSparseAttentionImpls())), ParamName);

// Operands; `index` is empty where every block is read, `first` where the queries come last.
struct Case {
  BlockSparseAttentionArgs shape;
  std::vector<float> q, k, v;
  std::vector<int32_t> length, first, index, count;

  int64_t lists() const { return (shape.queries + shape.query_block - 1) / shape.query_block; }
};

Case MakeCase(int64_t sequences, int64_t queries, int64_t heads, int64_t kv_heads, int64_t dim,
              int64_t block, int64_t most_blocks, uint32_t seed) {
  Case c;
  c.shape.sequences = sequences;
  c.shape.queries = queries;
  c.shape.heads = heads;
  c.shape.kv_heads = kv_heads;
  c.shape.head_dim = dim;
  c.shape.block = block;
  c.shape.most_blocks = most_blocks;
  c.q = RandomFloats(sequences * queries * heads * dim, seed, 2.0f);
  c.k = RandomFloats(sequences * kv_heads * most_blocks * block * dim, seed + 1);
  c.v = RandomFloats(sequences * kv_heads * most_blocks * block * dim, seed + 2);
  c.length.assign(static_cast<size_t>(sequences), static_cast<int32_t>(most_blocks * block));
  return c;
}

// Of each list the blocks of its sequence's length for which keep(block).
template <typename Keep>
void ListBlocks(Case* c, Keep keep) {
  c->index.clear();
  c->count.clear();
  for (int32_t length : c->length) {
    for (int64_t list = 0; list < c->shape.kv_heads * c->lists(); ++list) {
      const size_t first = c->index.size();
      for (int32_t b = 0; b * c->shape.block < length; ++b) {
        if (keep(b)) c->index.push_back(b);
      }
      c->count.push_back(static_cast<int32_t>(c->index.size() - first));
      c->index.resize(first + static_cast<size_t>(c->shape.most_blocks), -1);
    }
  }
}

std::vector<float> Compute(const BlockSparseAttentionImpl& impl, const Case& c) {
  BlockSparseAttentionArgs args = c.shape;
  std::vector<float> y = Poison(static_cast<int64_t>(c.q.size()));
  GuardedWorkspace workspace(BlockSparseAttentionWorkspaceBytes(args.most_blocks, args.block));
  args.q = c.q.data();
  args.k = c.k.data();
  args.v = c.v.data();
  args.length = c.length.data();
  if (!c.first.empty()) args.first = c.first.data();
  if (!c.index.empty()) args.index = c.index.data();
  args.count = c.count.data();
  args.y = y.data();
  args.workspace = workspace.get();
  EXPECT_TRUE(impl.run(args).ok());
  EXPECT_TRUE(workspace.GuardIntact());
  return y;
}

TEST_P(BlockSparseAttentionTest, MatchesReferenceForEachHeadSizeAndGroup) {
  uint32_t seed = 0;
  for (int64_t dim : {1, 8, 15, 64, 80, 96, 100, 128, 256}) {
    for (int64_t group : {1, 4, 8}) {
      ++seed;
      Case c = MakeCase(2, 1, 2 * group, 2, dim, 16, 5, seed);
      c.length[1] = 37;
      EXPECT_LE(RelativeError(Compute(impl(), c), Compute(reference(), c)), kTolerance)
          << "head_dim " << dim << " group " << group << " seed " << seed;
    }
  }
}

// One line reproduces a failure: seed and shape.
TEST_P(BlockSparseAttentionTest, RandomShapesMatchReferenceTwiceToTheBit) {
  for (uint32_t seed = 1; seed <= 80; ++seed) {
    std::mt19937 bits(seed);
    const auto draw = [&](int64_t low, int64_t high) {
      return low + static_cast<int64_t>(bits() % static_cast<uint32_t>(high - low + 1));
    };
    const int64_t sequences = draw(1, 3), queries = draw(1, 20), kv_heads = draw(1, 2);
    const int64_t group = draw(1, 9), dim = draw(1, 70), block = draw(1, 20), most = draw(1, 8);
    Case c = MakeCase(sequences, queries, kv_heads * group, kv_heads, dim, block, most, seed);
    c.shape.query_block = draw(1, 8);
    const bool placed = draw(0, 1) == 1, listed = draw(0, 3) > 0;
    for (int32_t& length : c.length) {
      length = static_cast<int32_t>(draw(0, most * block));
      if (placed) c.first.push_back(static_cast<int32_t>(draw(0, length)));
    }
    if (listed) ListBlocks(&c, [&](int32_t) { return draw(0, 1) == 1; });
    const std::string what =
        "seed " + std::to_string(seed) + " sequences " + std::to_string(sequences) + " queries " +
        std::to_string(queries) + " kv_heads " + std::to_string(kv_heads) + " group " +
        std::to_string(group) + " head_dim " + std::to_string(dim) + " block " +
        std::to_string(block) + " query_block " + std::to_string(c.shape.query_block) +
        " most_blocks " + std::to_string(most) + (placed ? " first" : "") +
        (listed ? " lists" : "");
    const std::vector<float> y = Compute(impl(), c);
    EXPECT_LE(RelativeError(y, Compute(reference(), c)), kTolerance) << what;
    EXPECT_TRUE(SameBits(y.data(), Compute(impl(), c).data(), static_cast<int64_t>(y.size())))
        << what;
  }
}

TEST_P(BlockSparseAttentionTest, AllBlocksListedIsTheAttentionWithoutListsBitForBit) {
  Case decode = MakeCase(3, 1, 4, 2, 40, 16, 5, 100), prefill = MakeCase(2, 70, 4, 2, 24, 16, 5, 3);
  decode.length = {80, 1, 49};
  prefill.first = {0, 10};
  prefill.shape.query_block = 16;
  for (Case* c : {&decode, &prefill}) {
    const std::vector<float> dense = Compute(impl(), *c);
    ListBlocks(c, [](int32_t) { return true; });
    EXPECT_EQ(Compute(impl(), *c), dense);
  }
}

// The dense attention of gated_attention with q = k = v = x, an output of 1 and gates of 1/2, every
// token as the last query of a sequence of its own.
TEST_P(BlockSparseAttentionTest, AllBlocksEqualTheDenseAttentionOfAnotherKernel) {
  constexpr int64_t kTokens = 37, kHeads = 3, kDim = 12, kWidth = kHeads * kDim;
  std::vector<float> identity(kWidth * kWidth, 0.0f), shut(kHeads * kWidth, 0.0f);
  for (int64_t i = 0; i < kWidth; ++i) identity[static_cast<size_t>(i * kWidth + i)] = 1;
  const PackedGatedAttention attention(identity.data(), identity.data(), identity.data(),
                                       identity.data(), shut.data(), nullptr, kWidth, kHeads,
                                       GateShape::kHeadWise, false);
  const std::vector<float> x = RandomFloats(kTokens * kWidth, 101, 1.5f);
  std::vector<float> dense = Poison(kTokens * kWidth);
  GuardedWorkspace workspace(GatedAttentionWorkspaceBytes(attention.weights(), 1, kTokens));
  ASSERT_TRUE(
      GatedAttention({attention.weights(), 1, kTokens, x.data(), dense.data(), workspace.get()})
          .ok());
  for (float& y : dense) y *= 2;
  Case c = MakeCase(1, kTokens, kHeads, kHeads, kDim, 8, 5, 0);
  c.q = x;
  for (std::vector<float>* cache : {&c.k, &c.v}) {
    std::fill(cache->begin(), cache->end(), kNan);  // beyond the length
    for (int64_t h = 0; h < kHeads; ++h) {
      for (int64_t p = 0; p < kTokens; ++p) {
        std::copy_n(x.begin() + p * kWidth + h * kDim, kDim, cache->begin() + (h * 40 + p) * kDim);
      }
    }
  }
  c.length = {kTokens};
  std::vector<float> y;
  c.shape.queries = 1;
  for (int64_t t = 0; t < kTokens; ++t) {
    c.q.assign(x.begin() + t * kWidth, x.begin() + (t + 1) * kWidth);
    ListBlocks(&c, [](int32_t) { return true; });
    const std::vector<float> row = Compute(impl(), c);
    y.insert(y.end(), row.begin(), row.end());
  }
  EXPECT_LE(RelativeError(y, dense), kTolerance);
}

TEST_P(BlockSparseAttentionTest, OneBlockIsItsOwnSoftmaxAverage) {
  Case c = MakeCase(1, 1, 1, 1, 1, 2, 3, 102);
  c.q = {1};
  c.k = {9, 9, 0, std::log(3.0f), 9, 9};
  c.v = {9, 9, 4, 8, 9, 9};
  ListBlocks(&c, [](int32_t b) { return b == 1; });
  EXPECT_NEAR(Compute(impl(), c)[0], 0.25 * 4 + 0.75 * 8, 1e-6);
}

TEST_P(BlockSparseAttentionTest, LastBlockMayBePartialAndTheCacheShorterThanABlock) {
  Case c = MakeCase(1, 1, 1, 1, 12, 8, 3, 103);
  c.length = {17};  // one position in the last block
  ListBlocks(&c, [](int32_t b) { return b == 2; });
  std::vector<float> y = Compute(impl(), c);
  for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(y[i], c.v[16 * 12 + i], 1e-6);
  c.length = {5};
  ListBlocks(&c, [](int32_t) { return true; });
  y = Compute(impl(), c);
  EXPECT_LE(RelativeError(y, Compute(reference(), c)), kTolerance);
  for (size_t i = 5 * 12; i < c.k.size(); ++i) c.k[i] = c.v[i] = kNan;
  EXPECT_EQ(Compute(impl(), c), y);
}

TEST_P(BlockSparseAttentionTest, WhatIsNotListedIsNotRead) {
  Case c = MakeCase(1, 1, 2, 1, 9, 4, 6, 104);
  c.length = {22};
  ListBlocks(&c, [](int32_t b) { return b == 1 || b == 5; });
  const std::vector<float> clean = Compute(impl(), c);
  for (size_t p = 0; p < 24; ++p) {
    const bool listed = (p >= 4 && p < 8) || (p >= 20 && p < 22);
    for (size_t i = 0; i < 9 && !listed; ++i) c.k[p * 9 + i] = c.v[p * 9 + i] = kNan;
  }
  EXPECT_EQ(Compute(impl(), c), clean);
}

// Not even NaN of a later position reaches a query, and a query alone is the query of a prefill.
TEST_P(BlockSparseAttentionTest, AQueryOfAPrefillIsThatOfADecodingStepAtItsPosition) {
  constexpr int64_t kTokens = 21, kHeads = 6, kDim = 20;
  for (int64_t kv_heads : {1, 2, 6}) {
    Case prefill = MakeCase(1, kTokens, kHeads, kv_heads, kDim, 4, 6, 105);
    prefill.length = {kTokens};
    prefill.shape.query_block = 4;
    ListBlocks(&prefill, [](int32_t b) { return b != 1; });
    const std::vector<float> y = Compute(impl(), prefill);
    for (int64_t t = 0; t < kTokens; ++t) {
      Case decode = prefill;
      decode.shape.queries = decode.shape.query_block = 1;
      decode.length = {static_cast<int32_t>(t + 1)};
      const auto at = prefill.q.begin() + t * kHeads * kDim;
      decode.q.assign(at, at + kHeads * kDim);
      ListBlocks(&decode, [](int32_t b) { return b != 1; });
      ASSERT_TRUE(
          SameBits(Compute(impl(), decode).data(), y.data() + t * kHeads * kDim, kHeads * kDim))
          << t << " kv_heads " << kv_heads;
      Case poisoned = prefill;
      for (int64_t g = 0; g < kv_heads; ++g) {
        for (int64_t i = (t + 1) * kDim; i < 24 * kDim; ++i) {
          const size_t cell = static_cast<size_t>(g * 24 * kDim + i);
          poisoned.k[cell] = poisoned.v[cell] = kNan;
        }
      }
      ASSERT_TRUE(SameBits(Compute(impl(), poisoned).data(), y.data(), (t + 1) * kHeads * kDim))
          << t << " kv_heads " << kv_heads;
    }
  }
}

TEST_P(BlockSparseAttentionTest, QueriesWithoutAPositionGiveZero) {
  Case c = MakeCase(2, 1, 2, 2, 7, 4, 2, 106);
  c.length = {0, 5};
  c.index = {-1, -1, -1, -1, -1, -1, 0, 1};
  c.count = {0, 0, 0, 2};
  std::vector<float> y = Compute(impl(), c);
  for (size_t i = 0; i < 21; ++i) EXPECT_EQ(y[i], 0.0f);
  EXPECT_NE(y[21], 0.0f);
  // Padding of a batch: queries beyond the length, and before the first position.
  c = MakeCase(1, 4, 1, 1, 3, 2, 2, 107);
  c.length = {2};
  c.first = {0};
  y = Compute(impl(), c);
  EXPECT_NE(y[5], 0.0f);
  for (size_t i = 6; i < 12; ++i) EXPECT_EQ(y[i], 0.0f);
  c.first.clear();
  y = Compute(impl(), c);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(y[i], 0.0f);
  EXPECT_NE(y[6], 0.0f);
}

TEST_P(BlockSparseAttentionTest, NanStaysInItsHead) {
  Case c = MakeCase(2, 1, 2, 2, 7, 4, 2, 108);
  const std::vector<float> clean = Compute(impl(), c);
  c.q[8] = kNan;  // sequence 0, head 1
  const std::vector<float> y = Compute(impl(), c);
  EXPECT_TRUE(SameBits(y.data(), clean.data(), 7));
  for (size_t i = 7; i < 14; ++i) EXPECT_TRUE(std::isnan(y[i]));
  EXPECT_TRUE(SameBits(y.data() + 14, clean.data() + 14, 14));
}

TEST_P(BlockSparseAttentionTest, LargeScoresDoNotOverflow) {
  Case c = MakeCase(1, 1, 1, 1, 4, 4, 2, 109);
  for (float& q : c.q) q *= 1e4f;
  for (float y : Compute(impl(), c)) EXPECT_TRUE(std::isfinite(y));
}

TEST_P(BlockSparseAttentionTest, SequenceAloneEqualsSequenceInBatch) {
  constexpr int64_t kSequences = 67, kHeads = 4, kDim = 10, kCache = 2 * 3 * 4 * kDim;
  Case batch = MakeCase(kSequences, 1, kHeads, 2, kDim, 4, 3, 110);
  std::mt19937 bits(111);
  for (int32_t& length : batch.length) length = static_cast<int32_t>(bits() % 13);
  ListBlocks(&batch, [&](int32_t) { return bits() % 3 != 0; });
  const std::vector<float> y = Compute(impl(), batch);
  for (int64_t s = 0; s < kSequences; ++s) {
    Case alone;
    alone.shape = batch.shape;
    alone.shape.sequences = 1;
    alone.q.assign(batch.q.begin() + s * kHeads * kDim, batch.q.begin() + (s + 1) * kHeads * kDim);
    alone.k.assign(batch.k.begin() + s * kCache, batch.k.begin() + (s + 1) * kCache);
    alone.v.assign(batch.v.begin() + s * kCache, batch.v.begin() + (s + 1) * kCache);
    alone.length = {batch.length[static_cast<size_t>(s)]};
    alone.index.assign(batch.index.begin() + s * 6, batch.index.begin() + (s + 1) * 6);
    alone.count.assign(batch.count.begin() + s * 2, batch.count.begin() + (s + 1) * 2);
    EXPECT_TRUE(
        SameBits(Compute(impl(), alone).data(), y.data() + s * kHeads * kDim, kHeads * kDim));
  }
}

TEST_P(BlockSparseAttentionTest, EmptyWorkAndBadArguments) {
  EXPECT_TRUE(impl().run({}).ok());
  Case c = MakeCase(1, 1, 2, 1, 4, 4, 2, 112);
  c.length = {5};
  std::vector<float> y(8, 7);
  GuardedWorkspace workspace(BlockSparseAttentionWorkspaceBytes(2, 4));
  BlockSparseAttentionArgs good = c.shape;
  good.q = c.q.data();
  good.k = c.k.data();
  good.v = c.v.data();
  good.length = c.length.data();
  good.y = y.data();
  good.workspace = workspace.get();
  const auto refused = [&](auto change) {
    BlockSparseAttentionArgs args = good;
    change(&args);
    return impl().run(args).code == Code::kInvalidArgument;
  };
  const int32_t two = 2, three = 3, negative = -1, beyond = 9;
  for (const std::vector<int32_t>& index : {std::vector<int32_t>{1, 0}, {0, 2}, {-1, 1}, {1, 1}}) {
    EXPECT_TRUE(refused([&](BlockSparseAttentionArgs* a) {
      a->index = index.data();
      a->count = &two;
    }));
  }
  const int32_t blocks[] = {0, 1};
  EXPECT_TRUE(refused([&](BlockSparseAttentionArgs* a) { a->index = blocks; }));  // no count
  EXPECT_TRUE(refused([&](BlockSparseAttentionArgs* a) {
    a->index = blocks;
    a->count = &three;
  }));
  EXPECT_TRUE(refused([](BlockSparseAttentionArgs* a) { a->kv_heads = 3; }));
  EXPECT_TRUE(refused([](BlockSparseAttentionArgs* a) { a->kv_heads = 0; }));
  EXPECT_TRUE(refused([](BlockSparseAttentionArgs* a) { a->block = 0; }));
  EXPECT_TRUE(refused([](BlockSparseAttentionArgs* a) { a->query_block = 0; }));
  EXPECT_TRUE(refused([](BlockSparseAttentionArgs* a) { a->queries = -1; }));
  EXPECT_TRUE(refused([](BlockSparseAttentionArgs* a) { a->v = nullptr; }));
  EXPECT_TRUE(refused([](BlockSparseAttentionArgs* a) { --a->workspace.bytes; }));
  EXPECT_TRUE(refused([&](BlockSparseAttentionArgs* a) { a->length = &beyond; }));
  EXPECT_TRUE(refused([&](BlockSparseAttentionArgs* a) { a->length = &negative; }));
  EXPECT_TRUE(refused([&](BlockSparseAttentionArgs* a) { a->first = &negative; }));
  EXPECT_EQ(y, std::vector<float>(8, 7));
  EXPECT_TRUE(impl().run(good).ok());
}

}  // namespace
}  // namespace penstock::kernels
