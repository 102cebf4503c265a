#include "expert_service/importing/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "expert_service/importing/strict_json.h"

namespace penstock::expert {
namespace {

namespace fs = std::filesystem;

constexpr char kSingle[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";
// The largest public checkpoints have indexes of some 10 MB.
constexpr int64_t kMaxIndexBytes = 64'000'000;

// One name in the folder: nothing that leads out of it, or to what is no shard.
bool IsShardName(const std::string& file) {
  constexpr size_t kMost = 255;
  if (file.size() > kMost || absl::StartsWith(file, ".") || !absl::EndsWith(file, ".safetensors")) {
    return false;
  }
  for (const char c : file) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ParseIndex(const nlohmann::json& index) {
  const auto found = index.find("weight_map");
  if (found == index.end() || !found->is_object() || found->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("weight_map: wanted an object, tensor -> file, found ",
                     found == index.end() ? "none" : Said(*found)));
  }
  std::map<std::string, std::string> files;
  for (const auto& [name, file] : found->items()) {
    if (!file.is_string() || !IsShardName(file.get<std::string>())) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight_map[", Said(name),
                       "]: wanted the name of a .safetensors file in the same folder, of letters, "
                       "digits, '-', '_' and '.', found ",
                       Said(file)));
    }
    files[name] = file.get<std::string>();
  }
  return files;
}

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& folder) {
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint(folder));
  const std::string single = absl::StrCat(folder, "/", kSingle);
  const std::string index = absl::StrCat(folder, "/", kIndex);
  std::error_code error;
  if (fs::exists(single, error)) {
    PENSTOCK_RETURN_IF_ERROR(checkpoint->OpenShard(kSingle));
    return checkpoint;
  }
  if (!fs::exists(index, error)) {
    return absl::NotFoundError(absl::StrCat(folder, " has neither ", kSingle, " nor ", kIndex));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const nlohmann::json document, ReadStrictJson(index, kMaxIndexBytes));
  absl::StatusOr<std::map<std::string, std::string>> files = ParseIndex(document);
  if (!files.ok()) {
    return absl::Status(files.status().code(), absl::StrCat(index, ": ", files.status().message()));
  }
  checkpoint->files_ = *std::move(files);
  return checkpoint;
}

absl::StatusOr<const Safetensors::Entry*> Checkpoint::Find(const std::string& name) {
  const auto file = files_.find(name);
  if (file == files_.end()) return absl::NotFoundError(absl::StrCat("no tensor ", name));
  if (open_.count(file->second) == 0) PENSTOCK_RETURN_IF_ERROR(OpenShard(file->second));
  return open_.at(file->second)->Find(name);
}

absl::Status Checkpoint::OpenShard(const std::string& file) {
  const std::string path = absl::StrCat(folder_, "/", file);
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> shard,
                            Safetensors::Open(path));
  if (files_.empty()) {  // no index: what the file has
    for (const auto& [name, entry] : shard->entries()) files_[name] = file;
  }
  // Index and shard must agree: of two that differ one is not the model's.
  std::vector<std::string> missing, odd;
  for (const auto& [name, in] : files_) {
    if (in == file && shard->Find(name) == nullptr) missing.push_back(name);
  }
  for (const auto& [name, entry] : shard->entries()) {
    const auto said = files_.find(name);
    if (said == files_.end() || said->second != file) odd.push_back(name);
  }
  const auto named = [](std::vector<std::string> names) {
    constexpr size_t kNamed = 5;
    const size_t all = names.size();
    names.resize(std::min(all, kNamed));
    return absl::StrCat(absl::StrJoin(names, ", "),
                        all > kNamed ? absl::StrCat(" and ", all - kNamed, " more") : "");
  };
  if (!missing.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " lacks what ", kIndex, " says it has: ", named(missing)));
  }
  if (!odd.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has what ", kIndex, " does not say of it: ", named(odd)));
  }
  open_[file] = shard;
  return absl::OkStatus();
}

}  // namespace penstock::expert
