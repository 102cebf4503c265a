#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "expert_service/models/model.h"

namespace penstock::expert {

// The models under `<root>/<model>/{config.yaml, <version>/model.safetensors}`, loaded and packed.
// Immutable.
class ModelRepository {
 public:
  // `models` empty: all folders that have a config.yaml. Errors start with the path of the file.
  static absl::StatusOr<std::unique_ptr<ModelRepository>> Load(
      const std::string& root, const std::vector<std::string>& models);
  // Models made elsewhere, for tests; ALREADY_EXISTS for two of one name and version.
  static absl::StatusOr<std::unique_ptr<ModelRepository>> Of(
      std::vector<std::shared_ptr<const Model>> models);

  // `version` empty: the largest. NOT_FOUND says what there is.
  absl::StatusOr<std::shared_ptr<const Model>> Find(absl::string_view name,
                                                    absl::string_view version) const;
  // Ordered by name, then version.
  const std::vector<std::shared_ptr<const Model>>& models() const { return models_; }
  // Ascending; empty for an unknown name.
  std::vector<int64_t> Versions(absl::string_view name) const;
  // Another one where any name, version or content is another.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  ModelRepository() = default;
  absl::Status Add(std::shared_ptr<const Model> model);

  uint64_t fingerprint_ = 0;
  std::vector<std::shared_ptr<const Model>> models_;
  std::map<std::string, std::map<int64_t, std::shared_ptr<const Model>>> by_name_;
};

}  // namespace penstock::expert
