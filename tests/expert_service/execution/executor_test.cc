#include "expert_service/execution/executor.h"

#include <map>

#include "common/notification.h"
#include "expert_service/execution/device.h"
#include "gmock/gmock.h"
#include "kernels/device/isa.h"
#include "tests/expert_service/models/test_models.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kDouble[] =
    "inputs { name: 'x' datatype: 'FP32' shape: 1 } outputs { name: 'y' datatype: 'FP32' shape: 1 "
    "} "
    "blocks { linear {} } batching { max_rows: 4 max_queue: 6 }";

// Counts batches; thread-safe.
class CountingEvents final : public ExpertEvents {
 public:
  void BatchExecuted(const std::string&, int64_t rows, int64_t requests, absl::Duration,
                     absl::Duration) override {
    MutexLock lock(mutex_);
    batches_.emplace_back(rows, requests);
  }
  void BlocksExecuted(absl::Span<const BlockCost> blocks) override {
    MutexLock lock(mutex_);
    for (const BlockCost& block : blocks) kinds_.push_back(block.kind);
  }
  void RequestExecuted(const std::string&, absl::Duration waited, double) override {
    MutexLock lock(mutex_);
    waits_.push_back(waited);
  }
  void RowsEnded(const std::string&, size_t block, int64_t rows) override {
    MutexLock lock(mutex_);
    ended_[block] += rows;
  }
  std::vector<std::pair<int64_t, int64_t>> batches() const {
    MutexLock lock(mutex_);
    return batches_;
  }
  std::map<size_t, int64_t> ended() const {
    MutexLock lock(mutex_);
    return ended_;
  }
  std::vector<config::v1::Block::KindCase> kinds() const {
    MutexLock lock(mutex_);
    return kinds_;
  }
  std::vector<absl::Duration> waits() const {
    MutexLock lock(mutex_);
    return waits_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::pair<int64_t, int64_t>> batches_ ABSL_GUARDED_BY(mutex_);
  std::map<size_t, int64_t> ended_ ABSL_GUARDED_BY(mutex_);
  std::vector<config::v1::Block::KindCase> kinds_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Duration> waits_ ABSL_GUARDED_BY(mutex_);
};

// What a submitted request came to.
struct Pending {
  Notification done;
  ExecutionOutcome outcome;
  std::shared_ptr<ExecutionRequest> request;

  const ExecutionOutcome& Wait() {
    EXPECT_TRUE(done.WaitWithTimeout(absl::Seconds(20)));
    return outcome;
  }
};

class ExecutorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(auto model, MakeModel(kDouble, {{"0.weight", {1, 1}, {2}}}));
    model_ = model;
    ASSERT_OK_AND_ASSIGN(models_, ModelRepository::Of({model}));
    meter_ = std::make_unique<EnergyMeter>(EnergyMeter::Options{}, nullptr, clock_.Now());
    Make(1);
  }
  void Make(int threads) {
    executor_ = std::make_unique<Executor>(Executor::Options{threads, 1, energy_}, *models_,
                                           *meter_, clock_, events_);
  }

  std::shared_ptr<Pending> Prepare(std::vector<float> rows,
                                   absl::Time deadline = absl::InfiniteFuture()) {
    auto pending = std::make_shared<Pending>();
    auto request = std::make_shared<ExecutionRequest>();
    request->model = model_;
    auto inputs = model_->Accept({FloatTensor("x", {static_cast<int64_t>(rows.size()), 1}, rows)});
    EXPECT_THAT(inputs, IsOk());
    if (inputs.ok()) request->inputs = *std::move(inputs);
    request->wanted = {0};
    request->deadline = deadline;
    request->done = [raw = pending.get()](ExecutionOutcome outcome) {
      raw->outcome = std::move(outcome);
      raw->done.Notify();
    };
    pending->request = request;
    return pending;
  }
  std::shared_ptr<Pending> Submit(std::vector<float> rows,
                                  absl::Time deadline = absl::InfiniteFuture()) {
    auto pending = Prepare(std::move(rows), deadline);
    executor_->Submit(pending->request);
    return pending;
  }

  FakeClock clock_;
  CountingEvents events_;
  EnergyModel energy_{1, 0, 0};
  std::shared_ptr<const Model> model_;
  std::unique_ptr<ModelRepository> models_;
  std::unique_ptr<EnergyMeter> meter_;
  std::unique_ptr<Executor> executor_;
};

TEST_F(ExecutorTest, BatchesRequestsAndSplitsTheAnswersBack) {
  const auto one = Submit({1, 2});
  const auto two = Submit({10});
  const auto three = Submit({100, 200});  // a batch of its own: at most 4 rows
  EXPECT_EQ(executor_->load().queue_depth, 3u);
  executor_->Start();
  EXPECT_THAT(ToFloats(one->Wait().outputs.at(0)), IsOkAndHolds(ElementsAre(2, 4)));
  EXPECT_THAT(ToFloats(two->Wait().outputs.at(0)), IsOkAndHolds(ElementsAre(20)));
  EXPECT_THAT(ToFloats(three->Wait().outputs.at(0)), IsOkAndHolds(ElementsAre(200, 400)));
  executor_->Stop();
  EXPECT_THAT(events_.batches(), ElementsAre(::testing::Pair(3, 2), ::testing::Pair(2, 1)));
  EXPECT_EQ(executor_->load().in_flight, 0u);
}

TEST_F(ExecutorTest, TakesModelsThatComeAndLetsGoOfThoseThatNobodyHas) {
  const std::weak_ptr<const Model> gone = model_;
  const auto waiting = Submit({1});
  ASSERT_OK_AND_ASSIGN(model_, MakeModel(kDouble, {{"0.weight", {1, 1}, {3}}}));
  ASSERT_OK_AND_ASSIGN(models_, ModelRepository::Of({model_}));
  EXPECT_THAT(executor_->Add({model_}), IsOk());
  executor_->Sweep();
  EXPECT_FALSE(gone.expired());
  executor_->Start();
  EXPECT_THAT(ToFloats(waiting->Wait().outputs.at(0)), IsOkAndHolds(ElementsAre(2)));
  // The one worker is done with the batch before when it has answered this.
  EXPECT_THAT(ToFloats(Submit({1})->Wait().outputs.at(0)), IsOkAndHolds(ElementsAre(3)));
  waiting->request = nullptr;
  executor_->Sweep();
  EXPECT_TRUE(gone.expired());
  EXPECT_EQ(executor_->owners().size(), 1u);
}

TEST_F(ExecutorTest, DividesTheWeightsJoulesAmongTheBatch) {
  energy_ = {0.5, 0, 1};
  Make(1);
  const double weights = model_->Work(1, 0).weight_bytes;
  const auto one = Submit({1});
  const auto two = Submit({1, 2, 3});
  executor_->Start();
  EXPECT_DOUBLE_EQ(one->Wait().joules, 0.5 + weights / 2);
  EXPECT_DOUBLE_EQ(two->Wait().joules, 0.5 + weights / 2);
  const auto alone = Submit({1});
  EXPECT_DOUBLE_EQ(alone->Wait().joules, 0.5 + weights);
}

TEST_F(ExecutorTest, ChargesRowsThatLeaveEarlyForWhatTheyRan) {
  // Logits (x, 0); a row leaves where they are far apart.
  ASSERT_OK_AND_ASSIGN(
      model_, MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 1 } "
                        "outputs { name: 'y' datatype: 'FP32' shape: 2 } "
                        "blocks { exit_head {} } blocks { linear {} } batching { max_rows: 4 }",
                        {{"0.weight", {2, 1}, {1, 0}},
                         {"0.bias", {2}, {0, 0}},
                         {"0.gate", {4}, {0, 0, 100, 0}},
                         {"0.gate_bias", {1}, {-50}},
                         {"1.weight", {2, 1}, {10, 20}}}));
  ASSERT_OK_AND_ASSIGN(models_, ModelRepository::Of({model_}));
  energy_ = {0, 1, 0};
  Make(1);
  const auto one = Submit({7, 0.125});
  const auto two = Submit({9});
  executor_->Start();
  EXPECT_THAT(ToFloats(one->Wait().outputs.at(0)), IsOkAndHolds(ElementsAre(7, 0, 1.25, 2.5)));
  EXPECT_THAT(ToFloats(two->Wait().outputs.at(0)), IsOkAndHolds(ElementsAre(9, 0)));
  executor_->Stop();
  EXPECT_THAT(events_.batches(), ElementsAre(::testing::Pair(3, 2)));
  EXPECT_THAT(events_.ended(), ElementsAre(::testing::Pair(0, 2)));
  const double whole = model_->Work(1, 0).flops, behind = 2 * 2;
  EXPECT_DOUBLE_EQ(one->Wait().joules, 2 * whole - behind);
  EXPECT_DOUBLE_EQ(two->Wait().joules, whole - behind);
}

TEST_F(ExecutorTest, ReportsQueueTime) {
  const auto pending = Submit({1});
  clock_.Advance(absl::Milliseconds(7));
  executor_->Start();
  EXPECT_EQ(pending->Wait().queued, absl::Milliseconds(7));
  executor_->Stop();
  EXPECT_THAT(events_.waits(), ElementsAre(absl::Milliseconds(7)));
  EXPECT_THAT(events_.kinds(), ElementsAre(config::v1::Block::kLinear));
}

TEST_F(ExecutorTest, TellsOfEachVersionWhatWaitsAndWhatItHolds) {
  const auto one = Submit({1});
  const auto two = Submit({2, 3});
  const std::vector<Executor::Version> versions = executor_->versions();
  ASSERT_EQ(versions.size(), 1u);
  EXPECT_EQ(versions[0].model, "test");
  EXPECT_EQ(versions[0].version, 1);
  EXPECT_EQ(versions[0].waiting, 2u);
  EXPECT_EQ(versions[0].weight_bytes, model_->resident_bytes());
  EXPECT_GT(versions[0].weight_bytes, 0u);
  executor_->Start();
  EXPECT_THAT(Submit({4})->Wait().status, IsOk());
  executor_->Stop();
  EXPECT_EQ(executor_->versions()[0].waiting, 0u);
  EXPECT_GE(executor_->versions()[0].statistics.execution_count, 1u);
}

TEST_F(ExecutorTest, AnswersWhatIsLateWithoutRunningIt) {
  const auto late = Submit({1}, clock_.Now() + absl::Milliseconds(5));
  clock_.Advance(absl::Milliseconds(6));
  executor_->Start();
  EXPECT_THAT(late->Wait().status, StatusIs(absl::StatusCode::kDeadlineExceeded));
  executor_->Stop();
  EXPECT_TRUE(events_.batches().empty());
}

TEST_F(ExecutorTest, RefusesBeyondTheQueueAndSaysWhenToComeBack) {
  std::vector<std::shared_ptr<Pending>> waiting;
  for (int i = 0; i < 6; ++i) waiting.push_back(Submit({1}));
  const auto refused = Submit({1});
  EXPECT_THAT(refused->Wait().status, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_GE(refused->Wait().retry_after, absl::Milliseconds(1));
  executor_->Stop();
  EXPECT_THAT(waiting[0]->Wait().status, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ExecutorTest, CancelledRequestsAreNotRun) {
  const auto waiting = Submit({1});
  executor_->Cancel(*waiting->request);
  EXPECT_THAT(waiting->Wait().status, StatusIs(absl::StatusCode::kCancelled));
  const auto early = Prepare({1});
  executor_->Cancel(*early->request);
  executor_->Submit(early->request);
  EXPECT_THAT(early->Wait().status, StatusIs(absl::StatusCode::kCancelled));
  executor_->Start();
  EXPECT_THAT(Submit({1})->Wait().status, IsOk());
  executor_->Stop();
  EXPECT_EQ(events_.batches().size(), 1u);
}

TEST_F(ExecutorTest, ManyThreadsAnswerEverythingOnce) {
  Make(4);
  executor_->Start();
  std::vector<std::shared_ptr<Pending>> all;
  for (int i = 0; i < 300; ++i) {
    auto pending = Submit({static_cast<float>(i)});
    if (i % 5 == 0) executor_->Cancel(*pending->request);
    all.push_back(std::move(pending));
    if (i % 6 == 5) {
      for (const auto& each : all) each->done.WaitWithTimeout(absl::Seconds(20));
    }
  }
  for (int i = 0; i < 300; ++i) {
    const ExecutionOutcome& outcome = all[i]->Wait();
    if (outcome.status.ok()) {
      EXPECT_THAT(ToFloats(outcome.outputs.at(0)), IsOkAndHolds(ElementsAre(2.0f * i)));
    } else {
      EXPECT_EQ(i % 5, 0) << outcome.status;
    }
  }
}

TEST_F(ExecutorTest, WarmUpTeachesTheLatencyModelAndChargesNobody) {
  const RealClock clock;
  Executor executor({1, 3, energy_}, *models_, *meter_, clock, events_);
  ASSERT_THAT(executor.WarmUp(), IsOk());
  EXPECT_GT(executor.profile(*model_).one_row, absl::ZeroDuration());
  EXPECT_GE(executor.profile(*model_).full_batch, absl::ZeroDuration());
  meter_->Sample(clock_.Now() + absl::Seconds(2));
  EXPECT_GT(meter_->totals().unattributed, 0);
  EXPECT_EQ(meter_->totals().reported, 0);
}

TEST(UtilizationTest, IsTheShareOfBusyWorkers) {
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  Utilization utilization(2, start);
  EXPECT_EQ(utilization.At(start), 0);
  for (int i = 0; i < 100; ++i) {  // one worker of two busy for 10 s
    utilization.AddBusy(start + absl::Milliseconds(100 * i),
                        start + absl::Milliseconds(100 * i + 100));
  }
  EXPECT_NEAR(utilization.At(start + absl::Seconds(10)), 0.5, 1e-3);
  EXPECT_LT(utilization.At(start + absl::Seconds(20)), 1e-3);
}

TEST(UtilizationTest, CountsTheCoresThatHelp) {
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  Utilization utilization(4, start);
  for (int i = 0; i < 100; ++i) {  // one worker of four busy for 10 s, helped by two cores
    utilization.AddBusy(start + absl::Milliseconds(100 * i),
                        start + absl::Milliseconds(100 * i + 100), absl::Milliseconds(200));
  }
  EXPECT_NEAR(utilization.At(start + absl::Seconds(10)), 0.75, 1e-3);
}

TEST(DeviceTest, FallsBackToTheCpuWithoutACudaDevice) {
  if (kernels::CudaDevicePresent()) GTEST_SKIP() << "a CUDA device is present";
  ASSERT_OK_AND_ASSIGN(const Device device, SelectDevice("cuda"));
  EXPECT_FALSE(device.on_gpu);
  EXPECT_THAT(device.description, HasSubstr("cpu"));
}

TEST(DeviceTest, TakesAnInstructionSetByName) {
  ASSERT_OK_AND_ASSIGN(const Device device, SelectDevice("reference"));
  EXPECT_EQ(device.description, "cpu (reference)");
  ASSERT_THAT(SelectDevice(""), IsOk());
  EXPECT_THAT(SelectDevice("avx1024"), StatusIs(absl::StatusCode::kInvalidArgument,
                                                HasSubstr("execution.kernels is \"avx1024\"")));
}

}  // namespace
}  // namespace penstock::expert
