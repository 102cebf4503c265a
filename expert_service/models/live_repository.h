#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/notification.h"
#include "expert_service/models/model_folder.h"
#include "expert_service/models/model_repository.h"

namespace penstock::expert {

// The models that are served, which change while they are. A snapshot stays as it is, and its
// models as long as somebody has them: requests end on the model that they began with. Thread-safe;
// changes come one after the other.
class LiveRepository {
 public:
  using Models = std::vector<std::shared_ptr<const Model>>;
  // What is to be done before models are served, such as warming them up; with an error they are
  // not.
  using Begin = std::function<absl::Status(const Models& models)>;

  // As ModelRepository::Load. `clock` outlives the repository; without one no load is timed.
  static absl::StatusOr<std::unique_ptr<LiveRepository>> Open(
      const std::string& root, const std::vector<std::string>& models,
      const Clock* clock = nullptr);
  // Of models made elsewhere, which do not change.
  explicit LiveRepository(std::unique_ptr<const ModelRepository> models);

  std::shared_ptr<const ModelRepository> Get() const;

  // What the repository has become, beside what is served.
  struct Staged {
    std::map<std::string, std::shared_ptr<const ModelFolder>> folders;  // by name
    Models begun;                                                       // not served so far
    std::vector<std::string> changes;  // "model digits version 2 (added)"
    uint64_t calls = 0;                // of Load that it knows of
  };
  // Looks at the repository again, for `models` (empty: all) and those that Load was called for
  // while their folders are there, but without those that Unload was, whatever is in their folders.
  // Versions whose files are as they were are the same models.
  // With an error, which names the file, nothing changes; CANCELLED between two folders once
  // `give_up`, where given, is notified.
  absl::StatusOr<Staged> Stage(const std::vector<std::string>& models,
                               const Notification* give_up = nullptr) const;
  // Calls of Load and Unload that came after the stage stay done.
  void Commit(Staged staged);

  // The versions that are in the folder of `model` now, and no others. What is served stays with an
  // error: NOT_FOUND, or INVALID_ARGUMENT naming the file.
  absl::Status Load(const std::string& model, const Begin& begin);
  // NOT_FOUND: it is not loaded.
  absl::Status Unload(const std::string& model);
  // Models that Unload was called for, in order.
  std::vector<std::string> unloaded() const;

  // How long reading and packing took, of what is served: by model and version.
  std::map<std::pair<std::string, int64_t>, absl::Duration> load_times() const;

  // Of what is served: models, versions, configurations, sizes.
  std::string Fingerprint() const;

 private:
  using Folders = std::map<std::string, std::shared_ptr<const ModelFolder>>;

  LiveRepository(std::string root, const Clock* clock) : root_(std::move(root)), clock_(clock) {}

  // The folder that has the model: the one that is loaded, or was, else the one of its name.
  std::string FolderOf(const std::string& model) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Publish(Folders folders, std::shared_ptr<const ModelRepository> models);
  static absl::StatusOr<std::shared_ptr<const ModelRepository>> Of(const Folders& folders);
  // How `after` differs; with the models that only it has.
  static std::vector<std::string> Compare(const Folders& before, const Folders& after,
                                          Models& begun);

  const std::string root_;  // empty: nothing changes
  const Clock* const clock_ = nullptr;
  Mutex changing_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable Mutex mutex_;
  Folders folders_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const ModelRepository> models_ ABSL_GUARDED_BY(mutex_);
  uint64_t calls_ ABSL_GUARDED_BY(mutex_) = 0;  // of Load
  // By call: folders, with the number of the last call.
  std::map<std::string, uint64_t> loaded_ ABSL_GUARDED_BY(mutex_);
  // By call: models, with their folders.
  std::map<std::string, std::string> unloaded_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::expert
