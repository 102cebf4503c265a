#pragma once

#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/notification.h"
#include "common/tensors/safetensors.h"
#include "expert_service/oip/model_loader.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::expert {

// Models of a repository in an executor that nobody has started: what is submitted waits.
// "a" has the versions 1 and 2, "b" the version 1; each doubles x FP32 [2]; two may wait.
class ServedModels {
 public:
  ServedModels() {
    for (const char* version : {"a/1", "a/2", "b/1"}) {
      const std::string folder = version;
      root_.Write(folder.substr(0, 1) + "/config.yaml", R"(
inputs: [{name: x, datatype: FP32, shape: [2]}]
outputs: [{name: y, datatype: FP32, shape: [2]}]
blocks: [{linear: {}}]
batching: {max_rows: 4, max_queue: 2}
)");
      root_.Write(folder + "/.keep", "");
      EXPECT_THAT(WriteSafetensors(root_.File(folder + "/model.safetensors"),
                                   {{"0.weight", {2, 2}, {2, 0, 0, 2}}}, {}),
                  IsOk());
    }
    auto opened = LiveRepository::Open(root_.path(), {}, &clock);
    EXPECT_THAT(opened.status(), IsOk());
    repository = *std::move(opened);
    executor = std::make_unique<Executor>(Executor::Options{1, 0, {}}, *repository->Get(), meter_,
                                          clock, events_);
    loader_ = std::make_unique<ModelLoader>(*repository, *executor,
                                            [](const std::vector<std::string>&) {});
  }

  std::shared_ptr<const Model> Find(const std::string& name, const std::string& version = "") {
    const auto found = repository->Get()->Find(name, version);
    EXPECT_THAT(found, IsOk());
    return found.ok() ? *found : nullptr;
  }
  void Submit(const std::string& name, const std::string& version = "") {
    auto request = std::make_shared<ExecutionRequest>();
    request->model = Find(name, version);
    request->inputs = request->model->ZeroInputs(1);
    request->wanted = {0};
    request->done = [](ExecutionOutcome) {};
    executor->Submit(std::move(request));
  }
  void Unload(const std::string& name) {
    Notification done;
    loader_->Unload(name, [&](absl::Status status) {
      EXPECT_THAT(status, IsOk());
      done.Notify();
    });
    ASSERT_TRUE(done.WaitWithTimeout(absl::Seconds(20)));
  }

  FakeClock clock;
  std::unique_ptr<LiveRepository> repository;
  std::unique_ptr<Executor> executor;

 private:
  const TempDir root_;
  ExpertEvents events_;
  EnergyMeter meter_{EnergyMeter::Options{}, nullptr, clock.Now()};
  std::unique_ptr<ModelLoader> loader_;
};

inline std::string Text(const prometheus::Collectable& collectable) {
  return prometheus::TextSerializer().Serialize(collectable.Collect());
}

}  // namespace penstock::expert
