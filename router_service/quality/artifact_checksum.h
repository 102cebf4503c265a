#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/tensors/safetensors.h"

namespace penstock::router {

// SHA-256 over the tensors, by name: what a trained file's metadata "checksum" holds.
std::string ArtifactChecksum(const std::vector<SafetensorsTensor>& tensors);
// The same of a file, whatever its metadata says.
std::string ArtifactChecksum(const Safetensors& file);
// DATA_LOSS where the file has another checksum than it says; one that says none passes.
absl::Status CheckArtifactChecksum(const Safetensors& file, absl::string_view path);
// Safetensors::Open, and that check.
absl::StatusOr<std::shared_ptr<const Safetensors>> OpenArtifact(const std::string& path);

}  // namespace penstock::router
