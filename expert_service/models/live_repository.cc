#include "expert_service/models/live_repository.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

bool HasModel(const std::string& root, const std::string& folder) {
  std::error_code ignored;
  return std::filesystem::exists(absl::StrCat(root, "/", folder, "/config.yaml"), ignored);
}

// Whether a folder is of one of the models `unloaded` (with their folders). Where it cannot be told
// the folder is what it was.
bool IsUnloaded(const std::string& root, const std::string& folder,
                const std::map<std::string, std::string>& unloaded) {
  const absl::StatusOr<std::string> model = ModelOfFolder(root, folder);
  if (model.ok()) return unloaded.count(*model) > 0;
  for (const auto& [name, was_in] : unloaded) {
    if (was_in == folder) return true;
  }
  return false;
}

}  // namespace

LiveRepository::LiveRepository(std::unique_ptr<const ModelRepository> models)
    : models_(std::move(models)) {}

absl::StatusOr<std::unique_ptr<LiveRepository>> LiveRepository::Open(
    const std::string& root, const std::vector<std::string>& models, const Clock* clock) {
  std::unique_ptr<LiveRepository> repository(new LiveRepository(root, clock));
  PENSTOCK_ASSIGN_OR_RETURN(Staged staged, repository->Stage(models));
  repository->Commit(std::move(staged));
  return repository;
}

std::shared_ptr<const ModelRepository> LiveRepository::Get() const {
  MutexLock lock(mutex_);
  return models_;
}

absl::StatusOr<std::shared_ptr<const ModelRepository>> LiveRepository::Of(const Folders& folders) {
  Models models;
  for (const auto& [name, folder] : folders) {
    for (const ModelFolder::Version& version : folder->versions) models.push_back(version.model);
  }
  return ModelRepository::Of(std::move(models));
}

std::vector<std::string> LiveRepository::Compare(const Folders& before, const Folders& after,
                                                 Models& begun) {
  const auto versions = [](const Folders& folders) {
    std::map<std::pair<std::string, int64_t>, std::shared_ptr<const Model>> all;
    for (const auto& [name, folder] : folders) {
      for (const ModelFolder::Version& each : folder->versions) {
        all[{each.model->name(), each.model->version()}] = each.model;
      }
    }
    return all;
  };
  const auto was = versions(before);
  const auto is = versions(after);
  std::vector<std::string> changes;
  const auto change = [&](const auto& name, const char* how) {
    changes.push_back(absl::StrCat("model ", name.first, " version ", name.second, how));
  };
  for (const auto& [name, model] : is) {
    const auto known = was.find(name);
    if (known != was.end() && known->second == model) continue;
    begun.push_back(model);
    change(name, known == was.end() ? " (added)" : " (changed)");
  }
  for (const auto& [name, model] : was) {
    if (is.count(name) == 0) change(name, " (removed)");
  }
  return changes;
}

absl::StatusOr<LiveRepository::Staged> LiveRepository::Stage(const std::vector<std::string>& models,
                                                             const Notification* give_up) const {
  Staged staged;
  Folders before;
  std::map<std::string, uint64_t> by_call;
  std::map<std::string, std::string> without;
  {
    MutexLock lock(mutex_);
    before = folders_;
    by_call = loaded_;
    without = unloaded_;
    staged.calls = calls_;
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> chosen, ChooseFolders(root_, models));
  std::set<std::string> names(chosen.begin(), chosen.end());
  for (const auto& [name, call] : by_call) {
    if (HasModel(root_, name)) names.insert(name);
  }
  for (const std::string& name : names) {
    if (give_up != nullptr && give_up->HasBeenNotified()) {
      return absl::CancelledError("the expert service stops");
    }
    if (!without.empty() && IsUnloaded(root_, name, without)) continue;
    const auto known = before.find(name);
    PENSTOCK_ASSIGN_OR_RETURN(
        std::shared_ptr<const ModelFolder> folder,
        LoadModelFolder(root_, name, known == before.end() ? nullptr : known->second.get(),
                        clock_));
    // The name may have changed since.
    if (without.count(folder->model()) == 0) staged.folders.emplace(name, std::move(folder));
  }
  PENSTOCK_RETURN_IF_ERROR(Of(staged.folders).status());
  staged.changes = Compare(before, staged.folders, staged.begun);
  return staged;
}

void LiveRepository::Commit(Staged staged) {
  MutexLock changing(changing_);
  {
    // Called for meanwhile.
    MutexLock lock(mutex_);
    Folders by_call;
    std::set<std::pair<std::string, int64_t>> taken;  // models, versions
    for (const auto& [name, call] : loaded_) {
      const auto loaded = folders_.find(name);
      if (call <= staged.calls || loaded == folders_.end()) continue;
      by_call.insert(*loaded);
      for (const ModelFolder::Version& version : loaded->second->versions) {
        taken.emplace(version.model->name(), version.model->version());
      }
    }
    const auto replaced = [&](const ModelFolder::Version& version) {
      return taken.count({version.model->name(), version.model->version()}) > 0;
    };
    for (auto it = staged.folders.begin(); it != staged.folders.end();) {
      const std::vector<ModelFolder::Version>& versions = it->second->versions;
      const bool leaves = unloaded_.count(it->second->model()) > 0 ||
                          by_call.count(it->first) > 0 ||
                          std::any_of(versions.begin(), versions.end(), replaced);
      it = leaves ? staged.folders.erase(it) : std::next(it);
    }
    staged.folders.merge(by_call);
  }
  // Parts of what made a repository when it was staged, and of what is one; no version is in both.
  std::shared_ptr<const ModelRepository> models = *Of(staged.folders);
  Publish(std::move(staged.folders), std::move(models));
}

void LiveRepository::Publish(Folders folders, std::shared_ptr<const ModelRepository> models) {
  // What it replaces is freed outside the lock.
  MutexLock lock(mutex_);
  folders_.swap(folders);
  models_.swap(models);
}

std::string LiveRepository::FolderOf(const std::string& model) const {
  for (const auto& [name, folder] : folders_) {
    if (folder->model() == model) return name;
  }
  const auto unloaded = unloaded_.find(model);
  return unloaded == unloaded_.end() ? model : unloaded->second;
}

absl::Status LiveRepository::Load(const std::string& model, const Begin& begin) {
  MutexLock changing(changing_);
  Folders folders;
  std::string name;
  {
    MutexLock lock(mutex_);
    folders = folders_;
    name = FolderOf(model);
  }
  if (model.empty()) return absl::InvalidArgumentError("model_name is empty");
  PENSTOCK_RETURN_IF_ERROR(ChooseFolders(root_, {name}).status());
  const auto known = folders.find(name);
  PENSTOCK_ASSIGN_OR_RETURN(
      std::shared_ptr<const ModelFolder> folder,
      LoadModelFolder(root_, name, known == folders.end() ? nullptr : known->second.get(),
                      clock_));
  if (folder->model() != model) {
    return absl::InvalidArgumentError(
        absl::StrCat("folder ", name, " holds the model ", folder->model(), ", wanted ", model));
  }
  const Folders before = folders;
  folders[name] = std::move(folder);
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<const ModelRepository> models, Of(folders));
  Models begun;
  Compare(before, folders, begun);
  PENSTOCK_RETURN_IF_ERROR(begin(begun));
  Publish(std::move(folders), std::move(models));
  MutexLock lock(mutex_);
  loaded_[name] = ++calls_;
  unloaded_.erase(model);
  return absl::OkStatus();
}

absl::Status LiveRepository::Unload(const std::string& model) {
  MutexLock changing(changing_);
  Folders folders;
  std::string name;
  {
    MutexLock lock(mutex_);
    folders = folders_;
    name = FolderOf(model);
  }
  const auto known = folders.find(name);
  if (known == folders.end() || known->second->model() != model) {
    return absl::NotFoundError(absl::StrCat("model ", model, " is not loaded"));
  }
  folders.erase(known);
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<const ModelRepository> models, Of(folders));
  Publish(std::move(folders), std::move(models));
  MutexLock lock(mutex_);
  loaded_.erase(name);
  unloaded_[model] = name;
  return absl::OkStatus();
}

std::vector<std::string> LiveRepository::unloaded() const {
  MutexLock lock(mutex_);
  std::vector<std::string> models;
  for (const auto& [model, folder] : unloaded_) models.push_back(model);
  return models;
}

std::map<std::pair<std::string, int64_t>, absl::Duration> LiveRepository::load_times() const {
  MutexLock lock(mutex_);
  std::map<std::pair<std::string, int64_t>, absl::Duration> times;
  for (const auto& [name, folder] : folders_) {
    for (const ModelFolder::Version& version : folder->versions) {
      times[{version.model->name(), version.model->version()}] = version.load;
    }
  }
  return times;
}

std::string LiveRepository::Fingerprint() const {
  MutexLock lock(mutex_);
  std::string text;
  for (const auto& [name, folder] : folders_) {
    absl::StrAppend(&text, name, "\n", folder->config_text, "\n");
    for (const ModelFolder::Version& version : folder->versions) {
      absl::StrAppend(&text, version.model->version(), "=", version.model->resident_bytes(), "\n");
    }
  }
  return text;
}

}  // namespace penstock::expert
