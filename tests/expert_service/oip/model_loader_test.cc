#include "expert_service/oip/model_loader.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/notification.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::expert {
namespace {

class ModelLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Write(2);
    auto opened = LiveRepository::Open(root_.path(), {});
    ASSERT_THAT(opened.status(), IsOk());
    models_ = *std::move(opened);
    executor_ = std::make_unique<Executor>(Executor::Options{1, 0, {}}, *models_->Get(), meter_,
                                           clock_, events_);
    loader_ =
        std::make_unique<ModelLoader>(*models_, *executor_, [](const std::vector<std::string>&) {});
  }
  void Write(int max_rows) {
    root_.Write("a/config.yaml", absl::StrCat(R"(
inputs: [{name: x, datatype: FP32, shape: [2]}]
outputs: [{name: y, datatype: FP32, shape: [2]}]
blocks: [{softmax: {}}]
batching: {max_rows: )",
                                              max_rows, "}\n"));
    root_.Write("a/1/.keep", "");
  }
  std::shared_ptr<const Model> Find() {
    auto found = models_->Get()->Find("a", "");
    return found.ok() ? *found : nullptr;
  }
  absl::Status Wait(void (ModelLoader::*change)(const std::string&, ControlDone)) {
    Notification done;
    absl::Status status;
    (loader_.get()->*change)("a", [&](absl::Status outcome) {
      status = std::move(outcome);
      done.Notify();
    });
    done.Wait();
    return status;
  }

  const TempDir root_;
  FakeClock clock_;
  ExpertEvents events_;
  EnergyMeter meter_{EnergyMeter::Options{}, nullptr, clock_.Now()};
  std::unique_ptr<LiveRepository> models_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<ModelLoader> loader_;
};

TEST_F(ModelLoaderTest, AModelThatIsUnloadedLeaves) {
  const std::weak_ptr<const Model> model = Find();
  EXPECT_THAT(Wait(&ModelLoader::Unload), IsOk());
  EXPECT_TRUE(model.expired());
}

TEST_F(ModelLoaderTest, AModelThatIsReplacedLeavesWithItsLastRequest) {
  const std::weak_ptr<const Model> replaced = Find();
  std::shared_ptr<const Model> request = Find();
  Write(3);
  EXPECT_THAT(Wait(&ModelLoader::Load), IsOk());
  EXPECT_EQ(Find()->contract().max_rows, 3);
  EXPECT_FALSE(replaced.expired());
  request = nullptr;
  executor_->Sweep();
  EXPECT_TRUE(replaced.expired());
  const std::weak_ptr<const Model> model = Find();
  Write(4);
  EXPECT_THAT(Wait(&ModelLoader::Load), IsOk());
  EXPECT_TRUE(model.expired());
}

TEST_F(ModelLoaderTest, WarmingUpEndsWhenItIsNotWantedAnyMore) {
  Write(3);
  const auto staged = models_->Stage({});
  ASSERT_THAT(staged.status(), IsOk());
  Notification give_up;
  give_up.Notify();
  EXPECT_THAT(loader_->Begin(staged->begun, &give_up), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(loader_->Begin(staged->begun), IsOk());
}

}  // namespace
}  // namespace penstock::expert
