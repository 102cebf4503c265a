#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/tensors/safetensors.h"

namespace penstock::expert {

// The tensors of a folder as Hugging Face's libraries write it: model.safetensors, or the shards
// that the weight_map of model.safetensors.index.json tells. Shards are mapped when a tensor of
// theirs is first asked for, so that those of other layers need not be there.
class Checkpoint {
 public:
  // INVALID_ARGUMENT for an index whose files are more than names of this folder.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& folder);

  // Tensor -> file, of the folder's own words.
  const std::map<std::string, std::string>& files() const { return files_; }
  bool Has(absl::string_view name) const { return files_.count(std::string(name)) != 0; }
  // The tensor must be one of files(). INVALID_ARGUMENT where index and shard disagree on what the
  // shard holds. Lives as long as the checkpoint.
  absl::StatusOr<const Safetensors::Entry*> Find(const std::string& name);

 private:
  explicit Checkpoint(std::string folder) : folder_(std::move(folder)) {}
  absl::Status OpenShard(const std::string& file);

  const std::string folder_;
  std::map<std::string, std::string> files_;
  std::map<std::string, std::shared_ptr<const Safetensors>> open_;
};

// The weight_map of an index. INVALID_ARGUMENT names the entry.
absl::StatusOr<std::map<std::string, std::string>> ParseIndex(const nlohmann::json& index);

}  // namespace penstock::expert
