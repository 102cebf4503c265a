#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/block_gate/block_gate.h"
#include "kernels/block_pool/block_pool.h"
#include "kernels/block_sparse_attention/block_sparse_attention.h"
#include "tests/kernels/kernel_test.h"

// block_pool, block_gate and block_sparse_attention, one behind the other.
namespace penstock::kernels {
namespace {

constexpr int64_t kDim = 32, kKvHeads = 2;

// A gate that compares means: each of `group` heads' queries, averaged, with the keys.
PackedBlockPool MeanGate(int64_t group, int64_t block) {
  BlockPoolWeights shape;
  shape.gate_heads = kKvHeads;
  shape.group = group;
  shape.head_dim = kDim;
  shape.block = block;
  shape.pools = kPoolMean;
  shape.rope_base = 0;
  std::vector<float> project;
  for (int64_t row = 0; row < kKvHeads * kDim; ++row) {
    for (int64_t column = 0; column < group * kDim; ++column) {
      project.push_back(column % kDim == row % kDim ? 1.0f / static_cast<float>(group) : 0.0f);
    }
  }
  return PackedBlockPool(project.data(), kDim, shape);
}

// One sequence of a cache.
struct Cache {
  int64_t block, most_blocks;
  int32_t length;
  std::vector<float> k, v;  // [kKvHeads, most_blocks * block, kDim]
};

Cache RandomCache(int64_t block, int64_t most_blocks, int32_t length, uint32_t seed) {
  const int64_t floats = kKvHeads * most_blocks * block * kDim;
  return {block, most_blocks, length, RandomFloats(floats, seed, 0.3f),
          RandomFloats(floats, seed + 1)};
}

std::vector<float> Pool(const BlockPoolWeights& w, int64_t most_blocks, int32_t length,
                        const std::vector<float>& x, int64_t position_stride, int64_t head_stride) {
  const int64_t dim = w.project[0].out;
  std::vector<float> y(static_cast<size_t>(w.gate_heads * most_blocks * dim), 0.0f);
  GuardedWorkspace workspace(BlockPoolWorkspaceBytes(w));
  BlockPoolArgs args;
  args.w = w;
  args.sequences = 1;
  args.most_blocks = most_blocks;
  args.x = x.data();
  args.position_stride = position_stride;
  args.head_stride = head_stride;
  args.length = &length;
  args.y = y.data();
  args.workspace = workspace.get();
  EXPECT_TRUE(BlockPool(args).ok());
  return y;
}

struct Lists {
  std::vector<int32_t> index, count;
};

// Queries x [queries, heads, kDim]; `query_block` of them share a gate and see the blocks up to the
// one that the last of them stands in.
Lists Choose(const Cache& cache, const std::vector<float>& q, int64_t queries, int64_t heads,
             int64_t query_block, float threshold, int64_t budget) {
  const int64_t lists = (queries + query_block - 1) / query_block, group = heads / kKvHeads;
  const std::vector<float> keys =
      Pool(MeanGate(1, cache.block).weights(), cache.most_blocks, cache.length, cache.k, 0, 0);
  const std::vector<float> gates = Pool(MeanGate(group, query_block).weights(), lists,
                                        static_cast<int32_t>(queries), q, heads * kDim, kDim);
  std::vector<int32_t> blocks;
  for (int64_t i = 0; i < kKvHeads * lists; ++i) {
    const int64_t last = std::min((i % lists + 1) * query_block, queries);
    blocks.push_back(static_cast<int32_t>(BlocksOf(cache.length - queries + last, cache.block)));
  }
  Lists chosen = {std::vector<int32_t>(blocks.size() * static_cast<size_t>(cache.most_blocks)),
                  std::vector<int32_t>(blocks.size())};
  GuardedWorkspace workspace(BlockGateWorkspaceBytes(cache.most_blocks));
  BlockGateArgs args;
  args.rows = kKvHeads;
  args.queries = lists;
  args.dim = kDim;
  args.most_blocks = cache.most_blocks;
  args.q = gates.data();
  args.keys = keys.data();
  args.blocks = blocks.data();
  args.threshold = threshold;
  args.budget = budget;
  args.index = chosen.index.data();
  args.count = chosen.count.data();
  args.workspace = workspace.get();
  EXPECT_TRUE(BlockGate(args).ok());
  return chosen;
}

std::vector<float> Attend(const Cache& cache, const std::vector<float>& q, int64_t queries,
                          int64_t heads, int64_t query_block, const Lists* lists) {
  std::vector<float> y = Poison(queries * heads * kDim);
  GuardedWorkspace workspace(BlockSparseAttentionWorkspaceBytes(cache.most_blocks, cache.block));
  BlockSparseAttentionArgs args;
  args.sequences = 1;
  args.queries = queries;
  args.heads = heads;
  args.kv_heads = kKvHeads;
  args.head_dim = kDim;
  args.block = cache.block;
  args.query_block = query_block;
  args.most_blocks = cache.most_blocks;
  args.q = q.data();
  args.k = cache.k.data();
  args.v = cache.v.data();
  args.length = &cache.length;
  if (lists != nullptr) {
    args.index = lists->index.data();
    args.count = lists->count.data();
  }
  args.y = y.data();
  args.workspace = workspace.get();
  EXPECT_TRUE(BlockSparseAttention(args).ok());
  return y;
}

// The share of one head's true softmax, of a decoding step, that its list holds.
double Recall(const Cache& cache, const float* q, int64_t kv_head, const Lists& lists) {
  const float* k = cache.k.data() + kv_head * cache.most_blocks * cache.block * kDim;
  const int32_t* index = lists.index.data() + kv_head * cache.most_blocks;
  double all = 0, listed = 0;
  for (int64_t p = 0; p < cache.length; ++p) {
    double score = 0;
    for (int64_t c = 0; c < kDim; ++c) {
      score += static_cast<double>(q[c]) * static_cast<double>(k[p * kDim + c]);
    }
    const double mass = std::exp(score / std::sqrt(static_cast<double>(kDim)));
    all += mass;
    if (std::count(index, index + lists.count[static_cast<size_t>(kv_head)],
                   static_cast<int32_t>(p / cache.block)) > 0) {
      listed += mass;
    }
  }
  return listed / all;
}

// With blocks of one position the gate is the attention itself: what is left out has at most the
// threshold each.
TEST(SeerAttentionTest, ExactGateLosesAtMostTheThresholdABlock) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    const Cache cache = RandomCache(1, 300, 300, seed);
    const std::vector<float> q = RandomFloats(kKvHeads * kDim, seed + 50, 8.0f);
    constexpr double kThreshold = 2e-3;
    const Lists lists = Choose(cache, q, 1, kKvHeads, 1, static_cast<float>(kThreshold), 0);
    for (int64_t h = 0; h < kKvHeads; ++h) {
      const int32_t count = lists.count[static_cast<size_t>(h)];
      EXPECT_LT(count, 200) << "seed " << seed;  // it does leave out
      EXPECT_GE(Recall(cache, q.data() + h * kDim, h, lists), 1 - kThreshold * (300 - count) - 1e-6)
          << "seed " << seed;
    }
  }
}

// Maps as attention draws them: nearly all mass in few blocks. The gate finds them by their means,
// and the output errs by no more than the mass that it misses: at most (1 - recall) 2 max |v|.
TEST(SeerAttentionTest, MassOfConcentratedMapsIsRecalled) {
  constexpr int64_t kGroup = 4, kHeads = kKvHeads * kGroup, kBlock = 64, kBlocks = 16;
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    Cache cache = RandomCache(kBlock, kBlocks, kBlocks * kBlock - 23, seed);
    // Heads of a group look the same way, and at the same three blocks.
    std::vector<float> q = RandomFloats(kHeads * kDim, seed + 60, 0.5f);
    const std::vector<float> common = RandomFloats(kKvHeads * kDim, seed + 70, 2.0f);
    for (int64_t i = 0; i < kHeads * kDim; ++i) {
      q[static_cast<size_t>(i)] +=
          common[static_cast<size_t>(i / (kGroup * kDim) * kDim + i % kDim)];
    }
    for (int64_t h = 0; h < kKvHeads; ++h) {
      for (int64_t block : {3 + h, int64_t{7}, 11 - h}) {
        for (int64_t i = 0; i < kBlock * kDim; ++i) {
          cache.k[static_cast<size_t>((h * kBlocks + block) * kBlock * kDim + i)] +=
              0.6f * common[static_cast<size_t>(h * kDim + i % kDim)];
        }
      }
    }
    const Lists lists = Choose(cache, q, 1, kHeads, 1, 0, 5);
    const std::vector<float> sparse = Attend(cache, q, 1, kHeads, 1, &lists);
    const std::vector<float> dense = Attend(cache, q, 1, kHeads, 1, nullptr);
    double largest = 0;
    for (float v : cache.v) largest = std::max(largest, static_cast<double>(std::abs(v)));
    for (int64_t h = 0; h < kHeads; ++h) {
      EXPECT_EQ(lists.count[static_cast<size_t>(h / kGroup)], 5) << "seed " << seed;
      const double recall = Recall(cache, q.data() + h * kDim, h / kGroup, lists);
      EXPECT_GE(recall, 0.97) << "seed " << seed << " head " << h;
      for (int64_t i = h * kDim; i < (h + 1) * kDim; ++i) {
        EXPECT_LE(std::abs(sparse[static_cast<size_t>(i)] - dense[static_cast<size_t>(i)]),
                  (1 - recall) * 2 * largest + 1e-5)
            << "seed " << seed << " element " << i;
      }
    }
  }
}

// Prefill: a budget of all blocks is the dense attention; below it every query still sees itself.
TEST(SeerAttentionTest, PrefillSeesItsOwnBlockUnderAnyBudget) {
  constexpr int64_t kHeads = 4, kBlock = 8, kBlocks = 9, kTokens = 67;
  Cache cache = RandomCache(kBlock, kBlocks, kTokens, 80);
  const std::vector<float> q = RandomFloats(kTokens * kHeads * kDim, 81);
  const std::vector<float> dense = Attend(cache, q, kTokens, kHeads, kBlock, nullptr);
  const Lists all = Choose(cache, q, kTokens, kHeads, kBlock, 0, kBlocks);
  EXPECT_EQ(Attend(cache, q, kTokens, kHeads, kBlock, &all), dense);
  const Lists few = Choose(cache, q, kTokens, kHeads, kBlock, 0, 3);
  const std::vector<float> y = Attend(cache, q, kTokens, kHeads, kBlock, &few);
  EXPECT_TRUE(SameBits(y.data(), dense.data(), 3 * kBlock * kHeads * kDim));
  EXPECT_FALSE(SameBits(y.data(), dense.data(), kTokens * kHeads * kDim));
  for (size_t i = 0; i < y.size(); ++i) ASSERT_TRUE(std::isfinite(y[i]) && y[i] != 0) << i;
  for (int64_t i = 0; i < kKvHeads * kBlocks; ++i) {
    const int32_t count = few.count[static_cast<size_t>(i)];
    EXPECT_EQ(count, std::min<int64_t>(3, i % kBlocks + 1));
    EXPECT_EQ(few.index[static_cast<size_t>(i * kBlocks + count - 1)], i % kBlocks);
    EXPECT_EQ(few.index[static_cast<size_t>(i * kBlocks)], 0);
  }
}

}  // namespace
}  // namespace penstock::kernels
