// Models that idle cores help with: the same answers, and what the help cost is known.

#include <cstring>

#include "common/notification.h"
#include "common/time/thread_cpu.h"
#include "expert_service/execution/executor.h"
#include "gmock/gmock.h"
#include "kernels/device/thread_pool.h"
#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

constexpr int64_t kRows = 3, kWidth = 256;

int64_t Nanoseconds() { return absl::ToInt64Nanoseconds(ThreadCpuTime()); }

std::string Config(const std::string& block) {
  return "inputs { name: 'x' datatype: 'FP32' shape: 256 } outputs { name: 'y' datatype: 'FP32' "
         "shape: 256 } batching { max_rows: 8 } blocks { " +
         block + " }";
}

absl::StatusOr<std::shared_ptr<const Model>> GatedMlp() {
  return MakeModel(Config("gated_mlp { norm: true residual: true }"),
                   WaveWeights({{"0.gate", {700, kWidth}},
                                {"0.up", {700, kWidth}},
                                {"0.down", {kWidth, 700}},
                                {"0.norm", {kWidth}}}));
}

absl::StatusOr<std::shared_ptr<const Model>> Moe() {
  return MakeModel(Config("moe { top_k: 2 }"), WaveWeights({{"0.router", {5, kWidth}},
                                                            {"0.gate", {5, 700, kWidth}},
                                                            {"0.up", {5, 700, kWidth}},
                                                            {"0.down", {5, kWidth, 700}}}));
}

std::vector<float> Answer(const Model& model, const ModelInputs& inputs, Arena& arena) {
  const std::vector<size_t> wanted = {0};
  std::vector<Tensor> outputs;
  const ModelCall call{&inputs, wanted, &outputs};
  EXPECT_THAT(model.Run({&call, 1}, arena), IsOk());
  const absl::StatusOr<std::vector<float>> floats = ToFloats(outputs.at(0));
  EXPECT_THAT(floats, IsOk());
  return floats.ok() ? *floats : std::vector<float>();
}

void ExpectSameAnswersHelped(const Model& model) {
  ASSERT_OK_AND_ASSIGN(const ModelInputs inputs,
                       model.Accept({FloatTensor("x", {kRows, kWidth}, Wave(kRows * kWidth))}));
  Arena alone;
  const std::vector<float> expected = Answer(model, inputs, alone);
  kernels::ThreadPool pool(3, Nanoseconds);
  const kernels::ThreadPool::Busy busy(pool);
  Arena helped(&pool);
  // Helpers come when the machine lets them; a run takes less than a millisecond.
  for (int run = 0; run < 50'000; ++run) {
    ASSERT_EQ(Answer(model, inputs, helped), expected);
    if (run > 20 && busy.helped_nanoseconds() > 0) break;
  }
  EXPECT_GT(busy.helped_nanoseconds(), 0);
}

TEST(HelpedModelTest, AGatedMlpAnswersTheSame) {
  ASSERT_OK_AND_ASSIGN(const auto model, GatedMlp());
  ExpectSameAnswersHelped(*model);
}

TEST(HelpedModelTest, AMixtureOfExpertsAnswersTheSame) {
  ASSERT_OK_AND_ASSIGN(const auto model, Moe());
  ExpectSameAnswersHelped(*model);
}

TEST(HelpedExecutorTest, AnswersDoNotDependOnTheNumberOfThreads) {
  ASSERT_OK_AND_ASSIGN(auto model, Moe());
  ASSERT_OK_AND_ASSIGN(const auto models, ModelRepository::Of({model}));
  ASSERT_OK_AND_ASSIGN(const ModelInputs inputs,
                       model->Accept({FloatTensor("x", {kRows, kWidth}, Wave(kRows * kWidth))}));
  Arena arena;
  const std::vector<float> expected = Answer(*model, inputs, arena);
  const RealClock clock;
  ExpertEvents events;
  for (int threads : {1, 2, 5}) {
    EnergyMeter meter({}, nullptr, clock.Now());
    Executor executor({threads, 0, EnergyModel()}, *models, meter, clock, events);
    executor.Start();
    constexpr int kRequests = 20;
    std::vector<Notification> done(kRequests);
    std::vector<ExecutionOutcome> outcomes(kRequests);
    for (size_t i = 0; i < kRequests; ++i) {
      auto request = std::make_shared<ExecutionRequest>();
      request->model = model;
      request->inputs = inputs;
      request->wanted = {0};
      request->done = [&, i](ExecutionOutcome outcome) {
        outcomes[i] = std::move(outcome);
        done[i].Notify();
      };
      executor.Submit(std::move(request));
    }
    for (size_t i = 0; i < kRequests; ++i) {
      ASSERT_TRUE(done[i].WaitWithTimeout(absl::Seconds(60)));
      ASSERT_THAT(outcomes[i].status, IsOk());
      EXPECT_THAT(ToFloats(outcomes[i].outputs.at(0)), IsOkAndHolds(expected)) << threads;
    }
  }
}

}  // namespace
}  // namespace penstock::expert
