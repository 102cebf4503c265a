#include "kernels/device/isa.h"

#include "kernels/linear/linear.h"
#include "kernels/route_plan/route_plan.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {
namespace {

class IsaTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(ForceIsa("").ok()); }
};

TEST_F(IsaTest, ForcedReferenceIsChosen) {
  ASSERT_TRUE(ForceIsa("reference").ok());
  EXPECT_EQ(ForOp(LinearImpls()).name, "reference");
}

TEST_F(IsaTest, AutomaticChoiceIsWhatTheCpuOffers) {
  EXPECT_EQ(ForOp(LinearImpls()).isa, DetectedIsa());
  ASSERT_TRUE(ForceIsa("reference").ok());
  ASSERT_TRUE(ForceIsa("").ok());
  EXPECT_EQ(ForOp(LinearImpls()).isa, DetectedIsa());
}

TEST_F(IsaTest, ForcedAvx2LimitsABetterCpu) {
  if (!CpuHasAvx2()) GTEST_SKIP() << "this CPU has no AVX2";
  ASSERT_TRUE(ForceIsa("avx2").ok());
  EXPECT_EQ(ForOp(LinearImpls()).name, "avx2");
}

TEST_F(IsaTest, OpWithoutTheForcedEntryFallsBack) {
  if (!CpuHasAvx2()) GTEST_SKIP() << "this CPU has no AVX2";
  ASSERT_TRUE(ForceIsa("avx2").ok());
  EXPECT_EQ(ForOp(RoutePlanImpls()).name, "reference");
}

TEST_F(IsaTest, RefusesUnknownAndAbsentAndKeepsTheChoice) {
  ASSERT_TRUE(ForceIsa("reference").ok());
  EXPECT_EQ(ForceIsa("avx1024").code, Code::kInvalidArgument);
  if (!CudaDevicePresent()) {
    EXPECT_EQ(ForceIsa("cuda").code, Code::kUnsupported);
  }
  EXPECT_EQ(ForOp(LinearImpls()).name, "reference");
}

TEST_F(IsaTest, CallsGoToTheChosenEntry) {
  const float x[] = {1e8f, 1, -1e8f}, weight[] = {1, 1, 1};
  const PackedLinear packed(weight, nullptr, 3, 1);
  float y = kNan;
  ASSERT_TRUE(ForceIsa("reference").ok());
  ASSERT_TRUE(Linear({packed.weights(), 1, x, 0, &y, 0, nullptr}).ok());
  EXPECT_EQ(y, 1.0f);  // float64; a float32 chain gives 0
}

}  // namespace
}  // namespace penstock::kernels
