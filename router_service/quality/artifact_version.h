#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Which files a pool decides by, told apart by what is in them, not by their names.
struct ArtifactVersions {
  std::string quality;  // the checksum of the quality_file; empty: there is none
  std::string gate;     // of the gate's files; empty: it has none

  // Both as one: the quality's alone where the gate has no file, else QUALITY+GATE; "none" stands
  // for a missing one.
  std::string Together() const;
  friend bool operator==(const ArtifactVersions&, const ArtifactVersions&) = default;
};

// Files that a gate's policy names, in a fixed order.
std::vector<std::string> GateFiles(const config::v1::Gate& gate);

// Reads the files. The status of one that cannot be read.
absl::StatusOr<ArtifactVersions> ReadArtifactVersions(const config::v1::Pool& pool);

}  // namespace penstock::router
