#include "common/time/clock.h"
#include "gmock/gmock.h"
#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using config::v1::Block;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

// Each reading is a millisecond after the one before.
class SteppingClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::UnixEpoch() + absl::Milliseconds(++readings_); }
  int readings() const { return readings_; }

 private:
  mutable int readings_ = 0;
};

class BlockCostTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(
        model_,
        MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 2 } "
                  "outputs { name: 'y' datatype: 'FP32' shape: 1 } "
                  "blocks { linear {} } blocks { rms_norm {} } blocks { linear {} } "
                  "batching { max_rows: 4 }",
                  {{"0.weight", {2, 2}, {1, 2, 3, 4}},
                   {"1.weight", {2}, {1, 1}},
                   {"2.weight", {1, 2}, {1, 1}}}));
  }
  absl::Status Run(ModelRun* run) {
    TakeInputs();
    std::vector<Tensor> outputs;
    const std::vector<size_t> wanted = {0};
    const ModelCall call{&inputs_, wanted, &outputs};
    Arena arena;
    return model_->Run({&call, 1}, arena, run);
  }
  void TakeInputs() {
    auto inputs = model_->Accept({FloatTensor("x", {3, 2}, {1, 2, 3, 4, 5, 6})});
    EXPECT_THAT(inputs, IsOk());
    if (inputs.ok()) inputs_ = *std::move(inputs);
  }

  std::shared_ptr<const Model> model_;
  ModelInputs inputs_;
  SteppingClock clock_;
};

TEST_F(BlockCostTest, TellsKindAndTimeOfEachBlockThatRan) {
  ModelRun run;
  run.clock = &clock_;
  ASSERT_THAT(Run(&run), IsOk());
  EXPECT_THAT(run.blocks, ElementsAre(Field(&BlockCost::kind, Block::kLinear),
                                      Field(&BlockCost::kind, Block::kRmsNorm),
                                      Field(&BlockCost::kind, Block::kLinear)));
  for (const BlockCost& block : run.blocks) EXPECT_EQ(block.time, absl::Milliseconds(1));
  EXPECT_EQ(clock_.readings(), 6);
}

TEST_F(BlockCostTest, BytesAreThoseOfWeightsAndValues) {
  ModelRun run;
  run.clock = &clock_;
  ASSERT_THAT(Run(&run), IsOk());
  double bytes = 0;
  for (const BlockCost& block : run.blocks) bytes += block.bytes;
  // Three rows of 2, 2, 2 and 1 floats: each value is written by a block and read by the next one.
  const double values = 4 * 3 * (2 + 2 * (2 + 2) + 1);
  EXPECT_GT(run.weight_bytes, 0);
  EXPECT_DOUBLE_EQ(bytes, run.weight_bytes + values);
}

TEST_F(BlockCostTest, WithoutAClockNothingIsTimed) {
  ModelRun run;
  ASSERT_THAT(Run(&run), IsOk());
  EXPECT_THAT(run.blocks, IsEmpty());
  EXPECT_GT(run.flops.at(0), 0);
}

}  // namespace
}  // namespace penstock::expert
