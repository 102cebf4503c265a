#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "expert_service/models/model.h"

namespace penstock::expert {

// One folder of a repository, loaded.
struct ModelFolder {
  struct Version {
    std::shared_ptr<const Model> model;
    std::string weights;  // which file they were read from, in which state
    absl::Duration load;  // how long reading and packing them took
  };

  std::string folder;       // its name in the repository
  std::string config_text;  // of its config.yaml
  std::vector<Version> versions;

  const std::string& model() const { return versions.front().model->name(); }
};

// Version folders are positive integers without a leading zero; others are left alone.
bool ParseVersion(absl::string_view folder, int64_t& version);

// The folders of the repository that hold `models`; of all that have a config.yaml where it is
// empty. Names come from outside: only folders of the repository are opened.
absl::StatusOr<std::vector<std::string>> ChooseFolders(const std::string& root,
                                                       const std::vector<std::string>& models);

// The name of the model in a folder, as its config.yaml has it.
absl::StatusOr<std::string> ModelOfFolder(const std::string& root, const std::string& folder);

// `before`, where given, is the same folder as it was loaded before: of a version whose files are
// as they were the same model is taken. Errors start with the path of the file. Without a clock no
// load is timed.
absl::StatusOr<std::shared_ptr<const ModelFolder>> LoadModelFolder(const std::string& root,
                                                                   const std::string& folder,
                                                                   const ModelFolder* before,
                                                                   const Clock* clock = nullptr);

// Folders and files whose change is a change of the repository.
std::vector<std::string> PathsOfRepository(const std::string& root);

}  // namespace penstock::expert
