#include "router_service/quality/artifact_version.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "router_service/quality/artifact_checksum.h"

namespace penstock::router {
namespace {

absl::StatusOr<std::string> FileChecksum(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, Safetensors::Open(path));
  return ArtifactChecksum(*file);
}

}  // namespace

std::string ArtifactVersions::Together() const {
  const std::string of_quality = quality.empty() ? "none" : quality;
  return gate.empty() ? of_quality : absl::StrCat(of_quality, "+", gate);
}

std::vector<std::string> GateFiles(const config::v1::Gate& gate) {
  std::vector<std::string> files;
  const auto add = [&files](const std::string& file) {
    if (!file.empty()) files.push_back(file);
  };
  switch (gate.policy_case()) {
    case config::v1::Gate::kTopkSoftmax:
      add(gate.topk_softmax().file());
      break;
    case config::v1::Gate::kDselectK:
      add(gate.dselect_k().file());
      break;
    case config::v1::Gate::kComet:
      add(gate.comet().file());
      break;
    case config::v1::Gate::kActivation:
      add(gate.activation().file());
      break;
    case config::v1::Gate::kDenseToSparse:
      add(gate.dense_to_sparse().file());
      break;
    case config::v1::Gate::kPhatgoose: {
      add(gate.phatgoose().file());
      // protobuf iterates a map in no fixed order.
      const std::map<std::string, std::string> vectors(gate.phatgoose().vectors().begin(),
                                                       gate.phatgoose().vectors().end());
      for (const auto& [expert, file] : vectors) add(file);
      break;
    }
    case config::v1::Gate::kMixer:
      add(gate.mixer().file());
      break;
    case config::v1::Gate::kRandom:
    case config::v1::Gate::POLICY_NOT_SET:
      break;
  }
  return files;
}

absl::StatusOr<ArtifactVersions> ReadArtifactVersions(const config::v1::Pool& pool) {
  ArtifactVersions versions;
  if (!pool.quality_file().empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(versions.quality, FileChecksum(pool.quality_file()));
  }
  std::string checksums;
  const std::vector<std::string> files = GateFiles(pool.gate());
  for (const std::string& file : files) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::string checksum, FileChecksum(file));
    absl::StrAppend(&checksums, checksum, "\n");
  }
  if (files.size() == 1) {
    versions.gate = checksums.substr(0, checksums.size() - 1);
  } else if (!files.empty()) {
    versions.gate = Sha256Hex(checksums);
  }
  return versions;
}

}  // namespace penstock::router
