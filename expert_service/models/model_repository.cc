#include "expert_service/models/model_repository.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "expert_service/models/model_folder.h"

namespace penstock::expert {
absl::StatusOr<std::unique_ptr<ModelRepository>> ModelRepository::Load(
    const std::string& root, const std::vector<std::string>& models) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> folders, ChooseFolders(root, models));
  std::unique_ptr<ModelRepository> repository(new ModelRepository());
  for (const std::string& name : folders) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const ModelFolder> folder,
                              LoadModelFolder(root, name, nullptr));
    for (const ModelFolder::Version& version : folder->versions) {
      PENSTOCK_RETURN_IF_ERROR(repository->Add(version.model));
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
  std::string served;
  for (const auto& [name, by_version] : by_name_) {
    for (const auto& [version, each] : by_version) {
      models_.push_back(each);
      absl::StrAppend(&served, name, "/", version, "=", each->content_digest(), "\n");
    }
  }
  const Sha256Digest digest = Sha256(served);
  std::memcpy(&fingerprint_, digest.data(), sizeof(fingerprint_));
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
  if (ParseVersion(version, number)) {
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
