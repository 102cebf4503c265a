// Experts that stay on a device, for rows of the host's.

#include "kernels/moe_ffn/cuda/resident_moe.h"

#include <algorithm>
#include <thread>

#include "kernels/moe_ffn/cuda/resident_session.h"
#include "tests/kernels/moe_device_problem.h"

namespace penstock::kernels {
namespace {

// h is rounded to bfloat16.
constexpr double kTolerance = 5e-3;

std::vector<float> OutputsOf(ResidentMoe& moe, const MoeProblem& problem) {
  return RunEntry(problem, [&moe](const MoeFfnArgs& args) { return moe.Run(args); });
}

TEST(ResidentMoeTest, RefusesWeightsThatAreNotBf16) {
  const std::vector<float> ones(4, 1.0f);
  const PackedMoe moe(ones.data(), ones.data(), ones.data(), 1, 2, 2, 2);
  EXPECT_EQ(ResidentMoe().Upload(moe.weights()).code, Code::kUnsupported);
}

TEST(ResidentMoeTest, RefusesACallForOtherWeights) {
  const MoeProblem problem = RandomProblem({3, 2, 4, 16, 8, 8});
  ResidentMoe moe;
  const MoeWeights w = problem.moe->weights();
  MoeRoutes routes(problem);
  std::vector<float> y = Poison(problem.rows * w.o);
  GuardedWorkspace workspace(MoeFfnWorkspaceBytes(w, problem.rows, problem.k));
  const Status status =
      moe.Run({w, problem.rows, problem.k, routes.view(), problem.weights.data(), problem.x.data(),
               problem.residual.data(), y.data(), workspace.get()});
  EXPECT_EQ(status.code, Code::kInvalidArgument);
}

class ResidentMoeOnDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!CudaDevicePresent()) GTEST_SKIP() << "this machine or build has no CUDA device";
  }
  void Upload(const MoeProblem& problem) {
    const Status status = moe_.Upload(problem.moe->weights());
    ASSERT_TRUE(status.ok()) << status.message;
  }

  ResidentMoe moe_;
};

// Met once: enqueued; twice: captured; from then on replayed.
TEST_F(ResidentMoeOnDeviceTest, MatchesReferenceAndItselfHoweverOftenAShapeComes) {
  for (const auto& shape : {MoeShape{1, 1, 1, 1, 1, 1}, MoeShape{9, 3, 5, 17, 9, 11},
                            MoeShape{300, 4, 16, 512, 256, 512}}) {
    const MoeProblem problem = RandomProblem(shape);
    ResidentMoe moe;
    ASSERT_TRUE(moe.Upload(problem.moe->weights()).ok());
    const std::vector<float> first = OutputsOf(moe, problem);
    EXPECT_LE(RelativeError(first, Reference(problem)), kTolerance) << shape.d;
    for (int time = 2; time <= 4; ++time) {
      const std::vector<float> again = OutputsOf(moe, problem);
      EXPECT_TRUE(SameBits(again.data(), first.data(), static_cast<int64_t>(first.size())))
          << shape.d << ", time " << time;
    }
  }
}

// A replay carries nothing of the plan that it was captured with.
TEST_F(ResidentMoeOnDeviceTest, AShapeThatIsReplayedServesOtherRowsAndPlans) {
  const MoeProblem problem = RandomProblem({64, 2, 5, 136, 72, 133});
  MoeProblem other = problem;
  for (int32_t& id : other.ids) id = id < 0 ? id : 4 - id;
  std::reverse(other.x.begin(), other.x.end());
  Upload(problem);
  for (int time = 0; time < 3; ++time) OutputsOf(moe_, problem);
  EXPECT_LE(RelativeError(OutputsOf(moe_, other), Reference(other)), kTolerance);
  EXPECT_LE(RelativeError(OutputsOf(moe_, problem), Reference(problem)), kTolerance);
}

TEST_F(ResidentMoeOnDeviceTest, MoreShapesThanAreRememberedComeAgainAndAgain) {
  const MoeProblem all = RandomProblem({2 * ResidentSession::kMostShapes, 2, 5, 24, 16, 24});
  Upload(all);
  for (int time = 0; time < 3; ++time) {
    for (int64_t rows = 1; rows <= all.rows; ++rows) {
      MoeProblem part = all;
      part.rows = rows;
      part.ids.resize(static_cast<size_t>(rows * all.k));
      EXPECT_LE(RelativeError(OutputsOf(moe_, part), Reference(part)), kTolerance) << rows;
    }
  }
}

TEST_F(ResidentMoeOnDeviceTest, OneExpertMayTakeAllOrNone) {
  MoeProblem problem = RandomProblem({70, 1, 4, 40, 24, 32});
  Upload(problem);
  for (const int32_t expert : {-1, 0, 3}) {
    std::fill(problem.ids.begin(), problem.ids.end(), expert);
    for (const bool residual : {true, false}) {
      MoeProblem with = problem;
      if (!residual) with.residual.clear();
      EXPECT_LE(RelativeError(OutputsOf(moe_, with), Reference(with)), kTolerance) << expert;
    }
  }
}

TEST_F(ResidentMoeOnDeviceTest, NoRowsTouchNothing) {
  MoeProblem problem = RandomProblem({1, 1, 2, 8, 8, 8});
  Upload(problem);
  MoeFfnArgs args;
  args.w = problem.moe->weights();
  EXPECT_TRUE(moe_.Run(args).ok());
}

TEST_F(ResidentMoeOnDeviceTest, CallersDoNotDisturbEachOther) {
  const MoeProblem problem = RandomProblem({33, 2, 6, 64, 48, 64});
  Upload(problem);
  const std::vector<float> alone = OutputsOf(moe_, problem);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int time = 0; time < 50; ++time) {
        const std::vector<float> y = OutputsOf(moe_, problem);
        EXPECT_TRUE(SameBits(y.data(), alone.data(), static_cast<int64_t>(y.size())));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace penstock::kernels
