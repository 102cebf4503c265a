#include "expert_service/models/model_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"

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

std::string WeightsPath(const std::string& folder, int64_t version) {
  return absl::StrCat(folder, "/", version, "/model.safetensors");
}

// SHA-256, in hex, of the configuration's text and of the weights as they are mapped: a file that is
// replaced meanwhile is not read by either.
std::string DigestOf(const std::string& config_text, const Safetensors* weights) {
  Sha256Stream stream;
  const auto add = [&stream](absl::string_view part) {
    stream.Add(absl::StrCat(part.size(), ":"));
    stream.Add(part);
  };
  add(config_text);
  if (weights != nullptr) {
    for (const auto& [name, entry] : weights->entries()) {
      add(name);
      add(entry.dtype);
      add(ShapeString(entry.shape));
      add(entry.data);
    }
  }
  return ToHex(stream.Finish());
}

absl::StatusOr<std::shared_ptr<const Model>> LoadVersion(const config::v1::Model& config,
                                                         const std::string& config_text,
                                                         const std::string& name, int64_t version,
                                                         const std::string& folder) {
  const std::string weights_path = WeightsPath(folder, version);
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
      Model::Create(config, name, version, weights.get(), weights_path,
                    DigestOf(config_text, weights.get()));
  if (!model.ok()) return At(absl::StrCat(folder, "/config.yaml"), model.status());
  return model;
}

absl::StatusOr<config::v1::Model> ReadConfig(const std::string& path, std::string& text) {
  std::stringstream read;
  read << std::ifstream(path, std::ios::binary).rdbuf();
  text = read.str();
  config::v1::Model config;
  if (text.empty()) {
    // The reader tells a file that is missing from one that is empty.
    PENSTOCK_RETURN_IF_ERROR(ReadYamlFile(path, config));
  } else if (const absl::Status status = ReadYaml(text, config); !status.ok()) {
    return At(path, status);
  }
  return config;
}

std::string NameOf(const config::v1::Model& config, const std::string& folder) {
  return config.name().empty() ? folder : config.name();
}

// Device, inode, size and time of change; "none" where there is no file.
std::string StateOf(const std::string& path) {
  struct stat found = {};
  if (stat(path.c_str(), &found) != 0) return "none";
  return absl::StrCat(found.st_dev, "-", found.st_ino, "-", found.st_size, "-",
                      found.st_mtim.tv_sec, ".", found.st_mtim.tv_nsec);
}

}  // namespace

bool ParseVersion(absl::string_view folder, int64_t& version) {
  return !folder.empty() && folder[0] >= '1' && folder[0] <= '9' &&
         absl::SimpleAtoi(folder, &version);
}

absl::StatusOr<std::vector<std::string>> ChooseFolders(const std::string& root,
                                                       const std::vector<std::string>& models) {
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
    return names;
  }
  for (const std::string& model : models) {
    if (std::find(names.begin(), names.end(), model) == names.end()) {
      return absl::NotFoundError(absl::StrCat("models: ", root, " has no folder \"", model, "\""));
    }
  }
  return models;
}

absl::StatusOr<std::string> ModelOfFolder(const std::string& root, const std::string& folder) {
  std::string text;
  PENSTOCK_ASSIGN_OR_RETURN(const config::v1::Model config,
                            ReadConfig(absl::StrCat(root, "/", folder, "/config.yaml"), text));
  return NameOf(config, folder);
}

absl::StatusOr<std::shared_ptr<const ModelFolder>> LoadModelFolder(const std::string& root,
                                                                   const std::string& folder_name,
                                                                   const ModelFolder* before,
                                                                   const Clock* clock) {
  const std::string folder = absl::StrCat(root, "/", folder_name);
  const std::string config_path = absl::StrCat(folder, "/config.yaml");
  auto loaded = std::make_shared<ModelFolder>();
  loaded->folder = folder_name;
  PENSTOCK_ASSIGN_OR_RETURN(const config::v1::Model config,
                            ReadConfig(config_path, loaded->config_text));
  const std::string name = NameOf(config, folder_name);
  const bool same_config = before != nullptr && before->config_text == loaded->config_text;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<std::string> entries, Folders(folder));
  for (const std::string& entry : entries) {
    int64_t version = 0;
    if (!ParseVersion(entry, version)) continue;
    // Before it is read: what changes meanwhile is another state.
    const std::string weights = StateOf(WeightsPath(folder, version));
    const auto is_same = [&](const ModelFolder::Version& known) {
      return known.model->version() == version && known.weights == weights;
    };
    if (same_config) {
      const auto known = std::find_if(before->versions.begin(), before->versions.end(), is_same);
      if (known != before->versions.end()) {
        loaded->versions.push_back(*known);
        continue;
      }
    }
    const auto now = [clock] { return clock == nullptr ? absl::Time() : clock->Now(); };
    const absl::Time start = now();
    PENSTOCK_ASSIGN_OR_RETURN(auto model,
                              LoadVersion(config, loaded->config_text, name, version, folder));
    loaded->versions.push_back({std::move(model), weights, now() - start});
  }
  if (loaded->versions.empty()) {
    return absl::NotFoundError(
        absl::StrCat(folder, " has no version folder (a positive integer, for example 1)"));
  }
  return loaded;
}

std::vector<std::string> PathsOfRepository(const std::string& root) {
  std::vector<std::string> paths = {root};
  for (const std::string& name : Folders(root).value_or(std::vector<std::string>())) {
    const std::string folder = absl::StrCat(root, "/", name);
    paths.push_back(folder);
    paths.push_back(absl::StrCat(folder, "/config.yaml"));
    for (const std::string& entry : Folders(folder).value_or(std::vector<std::string>())) {
      int64_t version = 0;
      if (!ParseVersion(entry, version)) continue;
      paths.push_back(absl::StrCat(folder, "/", entry));
      paths.push_back(WeightsPath(folder, version));
    }
  }
  return paths;
}

}  // namespace penstock::expert
