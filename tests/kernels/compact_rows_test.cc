#include "kernels/compact_rows/compact_rows.h"

#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using CompactRowsTest = KernelTest<CompactRowsImpl, CompactRowsImpls>;
INSTANTIATE_TEST_SUITE_P(All, CompactRowsTest, testing::ValuesIn(Names(CompactRowsImpls())),
                         ParamName);

struct Compacted {
  std::vector<float> y;
  std::vector<int32_t> index;
  int64_t kept = -77;
};

Compacted Compute(const CompactRowsImpl& impl, const std::vector<float>& x,
                  const std::vector<uint8_t>& keep, int64_t dim) {
  const int64_t rows = static_cast<int64_t>(keep.size());
  Compacted c = {Poison(rows * dim), std::vector<int32_t>(keep.size(), -77)};
  EXPECT_TRUE(
      impl.run({rows, dim, x.data(), keep.data(), c.y.data(), c.index.data(), &c.kept}).ok());
  return c;
}

TEST_P(CompactRowsTest, KeepsOrder) {
  const std::vector<float> x = {0, 1, 10, 11, 20, 21, 30, 31};
  const Compacted c = Compute(impl(), x, {0, 1, 0, 3}, 2);
  EXPECT_EQ(c.kept, 2);
  EXPECT_EQ(std::vector<float>(c.y.begin(), c.y.begin() + 4), (std::vector<float>{10, 11, 30, 31}));
  EXPECT_TRUE(std::isnan(c.y[4]));  // nothing is written behind the last
  EXPECT_EQ(c.index, (std::vector<int32_t>{1, 3, -77, -77}));
}

TEST_P(CompactRowsTest, InPlaceEqualsApart) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 bits(seed);
    const int64_t rows = bits() % 40, dim = bits() % 19;
    SCOPED_TRACE("rows=" + std::to_string(rows) + " dim=" + std::to_string(dim) +
                 " seed=" + std::to_string(seed));
    std::vector<float> x = RandomFloats(rows * dim, seed);
    std::vector<uint8_t> keep(static_cast<size_t>(rows));
    for (uint8_t& k : keep) k = bits() % 2;
    const Compacted apart = Compute(impl(), x, keep, dim);
    std::vector<int32_t> index(keep.size());
    int64_t kept = 0;
    ASSERT_TRUE(impl().run({rows, dim, x.data(), keep.data(), x.data(), index.data(), &kept}).ok());
    EXPECT_EQ(kept, apart.kept);
    EXPECT_TRUE(SameBits(x.data(), apart.y.data(), kept * dim));
  }
}

TEST_P(CompactRowsTest, RestoreIsTheWayBack) {
  constexpr int64_t kRows = 31, kDim = 5;
  const std::vector<float> x = RandomFloats(kRows * kDim, 2);
  std::vector<uint8_t> keep(kRows, 0), leave(kRows, 0);
  for (size_t t = 0; t < kRows; ++t) (t % 3 == 1 ? leave : keep)[t] = 1;
  std::vector<float> whole = Poison(kRows * kDim);
  for (const std::vector<uint8_t>& part : {keep, leave}) {
    const Compacted c = Compute(impl(), x, part, kDim);
    EXPECT_TRUE(RestoreRows({kRows, c.kept, kDim, c.y.data(), c.index.data(), whole.data()}).ok());
  }
  EXPECT_TRUE(SameBits(whole.data(), x.data(), kRows * kDim));
}

TEST_P(CompactRowsTest, AllNoneAndEmpty) {
  const std::vector<float> x = RandomFloats(12, 3);
  EXPECT_EQ(Compute(impl(), x, {1, 1, 1}, 4).y, x);
  EXPECT_EQ(Compute(impl(), x, {0, 0, 0}, 4).kept, 0);
  EXPECT_EQ(Compute(impl(), {}, {1, 0, 1}, 0).kept, 2);
  EXPECT_EQ(Compute(impl(), {}, {}, 4).kept, 0);
  EXPECT_TRUE(RestoreRows({}).ok());
}

TEST_P(CompactRowsTest, RefusesWhatItCannotDo) {
  EXPECT_EQ(impl().run({}).code, Code::kInvalidArgument);  // nowhere to count
  int64_t kept = 0;
  EXPECT_EQ(impl().run({1, 1, nullptr, nullptr, nullptr, nullptr, &kept}).code,
            Code::kInvalidArgument);
  EXPECT_EQ(impl().run({-1, 1, nullptr, nullptr, nullptr, nullptr, &kept}).code,
            Code::kInvalidArgument);
  const float x[] = {1, 2};
  float y[] = {0, 0};
  const int32_t index[] = {1, 2};
  EXPECT_EQ(RestoreRows({2, 2, 1, x, index, y}).code, Code::kInvalidArgument);
  EXPECT_EQ(y[1], 0);
  const int32_t negative[] = {-1, 0};
  EXPECT_EQ(RestoreRows({2, 2, 1, x, negative, y}).code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::kernels
