#include "router_service/quality/artifact_metadata.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

absl::Status CheckKey(const Safetensors& file, absl::string_view path, const std::string& key,
                      absl::string_view wanted) {
  const auto said = file.metadata().find(key);
  if (said == file.metadata().end() || said->second == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": metadata \"", key, "\" is \"",
                                                 said->second, "\", wanted \"", wanted, "\""));
}

}  // namespace

absl::Status CheckArtifactUse(const Safetensors& file, absl::string_view path,
                              const ArtifactUse& use) {
  if (!use.kind.empty()) {
    if (absl::Status kind = CheckKey(file, path, "kind", use.kind); !kind.ok()) return kind;
  }
  if (!use.dimension) return absl::OkStatus();
  if (absl::Status dimension = CheckKey(file, path, "dimension", absl::StrCat(*use.dimension));
      !dimension.ok()) {
    return dimension;
  }
  if (use.features.empty()) return absl::OkStatus();
  return CheckKey(file, path, "features", use.features);
}

}  // namespace penstock::router
