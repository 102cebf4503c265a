#include "expert_service/oip/model_loader.h"

#include <utility>

#include "common/status_macros.h"

namespace penstock::expert {

ModelLoader::ModelLoader(LiveRepository& models, Executor& executor,
                         std::function<void(const std::vector<std::string>& names)> announce)
    : models_(models), executor_(executor), announce_(std::move(announce)), worker_(kMostWaiting) {}

void ModelLoader::Load(const std::string& model, ControlDone done) {
  Run(
      [this, model] {
        const absl::Status status = models_.Load(
            model, [this](const LiveRepository::Models& begun) { return Begin(begun); });
        executor_.Sweep();
        return status;
      },
      std::move(done));
}

void ModelLoader::Unload(const std::string& model, ControlDone done) {
  Run(
      [this, model] {
        const absl::Status status = models_.Unload(model);
        executor_.Sweep();
        return status;
      },
      std::move(done));
}

absl::Status ModelLoader::Begin(const LiveRepository::Models& models, const Notification* give_up) {
  std::vector<std::string> names;
  for (const std::shared_ptr<const Model>& model : models) names.push_back(model->name());
  announce_(names);
  MutexLock lock(adding_);
  for (const std::shared_ptr<const Model>& model : models) {
    if (give_up != nullptr && give_up->HasBeenNotified()) {
      return absl::CancelledError("the expert service stops");
    }
    // Those before one that fails are let go of with everything else that nobody has.
    PENSTOCK_RETURN_IF_ERROR(executor_.Add({model}));
  }
  return absl::OkStatus();
}

void ModelLoader::Run(std::function<absl::Status()> change, ControlDone done) {
  // Shared: it answers here where it is not taken.
  auto shared = std::make_shared<ControlDone>(std::move(done));
  const bool taken = worker_.Run([change = std::move(change), shared](bool go_on) {
    (*shared)(go_on ? change() : absl::UnavailableError("the expert service stops"));
  });
  if (!taken) {
    (*shared)(absl::ResourceExhaustedError("too many models are waiting to be loaded or unloaded"));
  }
}

}  // namespace penstock::expert
