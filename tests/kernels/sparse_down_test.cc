#include "kernels/sparse_down/sparse_down.h"

#include <algorithm>

#include "kernels/linear/linear.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

using SparseDownTest = KernelTest<SparseDownImpl, SparseDownImpls>;
INSTANTIATE_TEST_SUITE_P(All, SparseDownTest, testing::ValuesIn(Names(SparseDownImpls())),
                         ParamName);

std::vector<float> Compute(const SparseDownImpl& impl, const std::vector<float>& h,
                           const std::vector<float>& w, int64_t f, int64_t d, float threshold = 0,
                           int64_t* active = nullptr) {
  const int64_t rows = f > 0 ? static_cast<int64_t>(h.size()) / f : 1;
  std::vector<float> y = Poison(rows * d);
  EXPECT_TRUE(impl.run({rows, f, d, threshold, h.data(), w.data(), y.data(), active}).ok());
  return y;
}

// About `density` of the entries are not 0.
std::vector<float> Sparse(int64_t count, uint32_t seed, double density) {
  std::vector<float> h = RandomFloats(count, seed);
  std::mt19937 bits(seed + 1);
  for (float& v : h) {
    if (bits() >= density * 4294967296.0) v = 0;
  }
  return h;
}

TEST_P(SparseDownTest, EqualsReference) {
  uint32_t seed = 0;
  for (int64_t f : {1, 5, 16, 63, 512, 513, 1100}) {
    for (int64_t d : {1, 8, 15, 17, 40, 300}) {
      for (double density : {0.0, 0.1, 0.5, 1.0}) {
        ++seed;
        SCOPED_TRACE("f=" + std::to_string(f) + " d=" + std::to_string(d) +
                     " density=" + std::to_string(density) + " seed=" + std::to_string(seed));
        const std::vector<float> h = Sparse(3 * f, seed, density);
        const std::vector<float> w = RandomFloats(f * d, seed + 5);
        int64_t a = 0, e = 0;
        EXPECT_LE(RelativeError(Compute(impl(), h, w, f, d, 0.2f, &a),
                                Compute(reference(), h, w, f, d, 0.2f, &e)),
                  kTolerance);
        EXPECT_EQ(a, e);
      }
    }
  }
}

TEST_P(SparseDownTest, ThresholdZeroIsTheDenseProduct) {
  constexpr int64_t kF = 700, kD = 33;
  const std::vector<float> h = Sparse(2 * kF, 3, 0.3), w = RandomFloats(kF * kD, 4);
  std::vector<float> transposed(w.size()), dense = Poison(2 * kD);
  for (size_t j = 0; j < kF; ++j) {
    for (size_t c = 0; c < kD; ++c) transposed[c * kF + j] = w[j * kD + c];
  }
  const PackedLinear packed(transposed.data(), nullptr, kF, kD);
  ASSERT_TRUE(LinearReference({packed.weights(), 2, h.data(), 0, dense.data(), 0, nullptr}).ok());
  EXPECT_LE(RelativeError(Compute(impl(), h, w, kF, kD), dense), kTolerance);
}

TEST_P(SparseDownTest, ErrorOfAThresholdIsBounded) {
  constexpr int64_t kF = 400, kD = 19;
  constexpr float kThreshold = 0.5f;
  const std::vector<float> h = RandomFloats(kF, 5), w = RandomFloats(kF * kD, 6);
  const std::vector<float> exact = Compute(impl(), h, w, kF, kD);
  const std::vector<float> y = Compute(impl(), h, w, kF, kD, kThreshold);
  for (size_t c = 0; c < kD; ++c) {
    double bound = 1e-4;  // rounding of 400 terms
    for (size_t j = 0; j < kF; ++j) {
      if (std::fabs(h[j]) <= kThreshold) {
        bound += static_cast<double>(kThreshold) * std::fabs(static_cast<double>(w[j * kD + c]));
      }
    }
    EXPECT_LE(std::fabs(static_cast<double>(y[c] - exact[c])), bound);
  }
}

TEST_P(SparseDownTest, AllZeroReadsNoWeight) {
  const std::vector<float> w(12, kNan);
  int64_t active = 0;
  EXPECT_EQ(Compute(impl(), {0, -0.0f, 0}, w, 3, 4, 0, &active), std::vector<float>(4, 0));
  EXPECT_EQ(active, 0);
}

TEST_P(SparseDownTest, ActivationAtTheThresholdIsLeftOut) {
  const std::vector<float> w = {1, 10, 100, 1000};
  EXPECT_EQ(Compute(impl(), {0.5f, -0.5f, 0.75f, -2}, w, 4, 1, 0.5f)[0], 75.0f - 2000.0f);
}

TEST_P(SparseDownTest, NanStaysInItsRow) {
  const std::vector<float> w = RandomFloats(20 * 5, 7);
  std::vector<float> h = Sparse(60, 8, 0.4);
  const std::vector<float> clean = Compute(impl(), h, w, 20, 5, 0.1f);
  h[33] = kNan;
  const std::vector<float> y = Compute(impl(), h, w, 20, 5, 0.1f);
  EXPECT_TRUE(SameBits(y.data(), clean.data(), 5));
  for (size_t c = 5; c < 10; ++c) EXPECT_TRUE(std::isnan(y[c]));
  EXPECT_TRUE(SameBits(y.data() + 10, clean.data() + 10, 5));
}

TEST_P(SparseDownTest, RowAloneEqualsRowInBatch) {
  constexpr int64_t kRows = 67, kF = 150, kD = 21;
  const std::vector<float> h = Sparse(kRows * kF, 9, 0.3), w = RandomFloats(kF * kD, 10);
  const std::vector<float> batch = Compute(impl(), h, w, kF, kD, 0.05f);
  for (int64_t t = 0; t < kRows; ++t) {
    const std::vector<float> alone =
        Compute(impl(), {h.begin() + t * kF, h.begin() + (t + 1) * kF}, w, kF, kD, 0.05f);
    EXPECT_TRUE(SameBits(alone.data(), batch.data() + t * kD, kD));
  }
}

// Zeros between them change no sum: only the order of those that count matters.
TEST_P(SparseDownTest, PositionOfZerosDoesNotMatter) {
  constexpr int64_t kD = 30, kActive = 21;
  const std::vector<float> values = RandomFloats(kActive, 12),
                           rows = RandomFloats(kActive * kD, 13);
  std::vector<float> h(3000, 0), w(3000 * kD, 1.0f);
  for (size_t i = 0; i < kActive; ++i) {
    const size_t at = i * i * 6 + i;
    h[at] = values[i];
    std::copy_n(rows.begin() + static_cast<int64_t>(i) * kD, kD,
                w.begin() + static_cast<int64_t>(at) * kD);
  }
  const std::vector<float> far = Compute(impl(), h, w, 3000, kD);
  const std::vector<float> near = Compute(impl(), values, rows, kActive, kD);
  EXPECT_TRUE(SameBits(far.data(), near.data(), kD));
}

TEST_P(SparseDownTest, EmptyAndImpossible) {
  EXPECT_TRUE(impl().run({}).ok());
  EXPECT_EQ(Compute(impl(), {}, {}, 0, 3), std::vector<float>(3, 0));
  float y = 0;
  EXPECT_EQ(impl().run({1, 1, 1, 0, nullptr, nullptr, &y, nullptr}).code, Code::kInvalidArgument);
  for (float threshold : {-1.0f, kNan, kInf}) {
    EXPECT_EQ(impl().run({0, 1, 1, threshold, nullptr, nullptr, &y, nullptr}).code,
              Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace penstock::kernels
