#include "expert_service/models/model_repository.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/config/yaml_config.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"

namespace penstock::expert {
namespace {

namespace fs = std::filesystem;

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::StatusOr<std::vector<std::string>> Folders(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) names.push_back(it->path().filename().string());
  }
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

// Version folders are positive integers without a leading zero; others are left alone.
bool ParseVersion(const std::string& folder, int64_t& version) {
  return !folder.empty() && folder[0] >= '1' && folder[0] <= '9' &&
         absl::SimpleAtoi(folder, &version);
}

absl::StatusOr<std::shared_ptr<const Model>> LoadVersion(const config::v1::Model& config,
                                                         const std::string& name, int64_t version,
                                                         const std::string& folder) {
  const std::string weights_path = absl::StrCat(folder, "/", version, "/model.safetensors");
  std::shared_ptr<const Safetensors> weights;
  std::error_code ignored;
  if (fs::exists(weights_path, ignored)) {
    absl::StatusOr<std::shared_ptr<const Safetensors>> opened = Safetensors::Open(weights_path);
    if (!opened.ok()) {
      return absl::StrContains(opened.status().message(), weights_path)
                 ? opened.status()
                 : At(weights_path, opened.status());
    }
    weights = *std::move(opened);
  }
  absl::StatusOr<std::shared_ptr<const Model>> model =
      Model::Create(config, name, version, weights.get(), weights_path);
  if (!model.ok()) return At(absl::StrCat(folder, "/config.yaml"), model.status());
  return model;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelRepository>> ModelRepository::Load(
    const std::string& root, const std::vector<std::string>& models) {
  if (root.empty()) return absl::InvalidArgumentError("model_repository is empty");
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<std::string> names, Folders(root));
  std::error_code ignored;
  if (models.empty()) {
    names.erase(std::remove_if(names.begin(), names.end(),
                               [&](const std::string& name) {
                                 return !fs::exists(absl::StrCat(root, "/", name, "/config.yaml"),
                                                    ignored);
                               }),
                names.end());
    if (names.empty()) {
      return absl::NotFoundError(absl::StrCat(root, " has no folder with a config.yaml"));
    }
  } else {
    // Names come from the configuration: only folders of the repository are opened.
    for (const std::string& model : models) {
      if (std::find(names.begin(), names.end(), model) == names.end()) {
        return absl::NotFoundError(
            absl::StrCat("models: ", root, " has no folder \"", model, "\""));
      }
    }
    names = models;
  }

  std::unique_ptr<ModelRepository> repository(new ModelRepository());
  for (const std::string& folder_name : names) {
    const std::string folder = absl::StrCat(root, "/", folder_name);
    config::v1::Model config;
    PENSTOCK_RETURN_IF_ERROR(ReadYamlFile(absl::StrCat(folder, "/config.yaml"), config));
    const std::string name = config.name().empty() ? folder_name : config.name();
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> entries, Folders(folder));
    bool any = false;
    for (const std::string& entry : entries) {
      int64_t version = 0;
      if (!ParseVersion(entry, version)) continue;
      any = true;
      PENSTOCK_ASSIGN_OR_RETURN(auto model, LoadVersion(config, name, version, folder));
      PENSTOCK_RETURN_IF_ERROR(repository->Add(std::move(model)));
    }
    if (!any) {
      return absl::NotFoundError(
          absl::StrCat(folder, " has no version folder (a positive integer, for example 1)"));
    }
  }
  return repository;
}

absl::StatusOr<std::unique_ptr<ModelRepository>> ModelRepository::Of(
    std::vector<std::shared_ptr<const Model>> models) {
  std::unique_ptr<ModelRepository> repository(new ModelRepository());
  for (std::shared_ptr<const Model>& model : models) {
    PENSTOCK_RETURN_IF_ERROR(repository->Add(std::move(model)));
  }
  return repository;
}

absl::Status ModelRepository::Add(std::shared_ptr<const Model> model) {
  auto& versions = by_name_[model->name()];
  if (!versions.emplace(model->version(), model).second) {
    return absl::AlreadyExistsError(
        absl::StrCat("two models are named ", model->name(), ", version ", model->version()));
  }
  models_.clear();
  for (const auto& [name, by_version] : by_name_) {
    for (const auto& [version, each] : by_version) models_.push_back(each);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Model>> ModelRepository::Find(
    absl::string_view name, absl::string_view version) const {
  const auto versions = by_name_.find(std::string(name));
  if (versions == by_name_.end()) {
    return absl::NotFoundError(absl::StrCat(
        "no model \"", name,
        "\", there are: ", absl::StrJoin(by_name_, ", ", [](std::string* out, const auto& entry) {
          absl::StrAppend(out, entry.first);
        })));
  }
  if (version.empty()) return versions->second.rbegin()->second;
  int64_t number = 0;
  if (ParseVersion(std::string(version), number)) {
    const auto found = versions->second.find(number);
    if (found != versions->second.end()) return found->second;
  }
  return absl::NotFoundError(absl::StrCat("model ", name, " has no version \"", version,
                                          "\", there are: ", absl::StrJoin(Versions(name), ", ")));
}

std::vector<int64_t> ModelRepository::Versions(absl::string_view name) const {
  std::vector<int64_t> versions;
  const auto found = by_name_.find(std::string(name));
  if (found == by_name_.end()) return versions;
  for (const auto& [version, model] : found->second) versions.push_back(version);
  return versions;
}

}  // namespace penstock::expert
