#include <cuda_runtime_api.h>

#include "tests/kernels/moe_device_problem.h"

namespace penstock::kernels {
namespace {

// Captured once, replayed with another plan in the same memory: nothing of the plan is in the
// graph, and nothing in the call may wait or allocate, or the capture fails.
TEST(MoeDeviceCaptureTest, AGraphServesPlansThatItHasNotSeen) {
  if (!CudaDevicePresent()) GTEST_SKIP() << "this machine has no CUDA device";
  const MoeProblem problem = RandomProblem({64, 2, 5, 136, 72, 133});
  MoeProblem other = problem;
  for (int32_t& id : other.ids) id = id < 0 ? 4 : 4 - id;
  const std::vector<float> expected = Reference(problem), expected_other = Reference(other);
  for (const MoeTiling& tiling :
       {MoeTiling{MoeRegime::kStream, 4}, MoeTiling{MoeRegime::kSwapAb, 32},
        MoeTiling{MoeRegime::kGrouped, 128}}) {
    DeviceProblem on_device(problem);
    MoeDeviceArgs args = on_device.args();
    args.tiling = tiling;
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
    args.stream = stream;

    cudaGraph_t graph = nullptr;
    cudaGraphExec_t replay = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    const Status status = MoeFfnOnDevice(on_device.moe(), args);
    EXPECT_TRUE(status.ok()) << status.message;
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&replay, graph, 0), cudaSuccess);

    on_device.Reset();
    ASSERT_EQ(cudaGraphLaunch(replay, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_LE(RelativeError(on_device.Result(), expected), 5e-3) << tiling.tokens;

    on_device.SetRoutes(MoeRoutes(other));
    on_device.Reset();
    ASSERT_EQ(cudaGraphLaunch(replay, stream), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    EXPECT_LE(RelativeError(on_device.Result(), expected_other), 5e-3) << tiling.tokens;

    EXPECT_EQ(cudaGraphExecDestroy(replay), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  }
}

}  // namespace
}  // namespace penstock::kernels
