#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// A file that a pool's configuration names.
struct PoolFile {
  std::string field;  // "gate.comet.file"
  std::string path;
};

// All that a pool decides from: models, gates, cards; the shadow's too.
std::vector<PoolFile> FilesOf(const config::v1::Pool& pool);

// The paths of these files and of those behind its static embeddings.
std::vector<std::string> PathsOf(const config::v1::Pool& pool);

// SHA-256 over the contents of those files, in hex: what a pool decides from is the same while its
// configuration and this are. A file that cannot be read counts as such.
std::string DigestOfFiles(const config::v1::Pool& pool);

// `status` with the field of the file that its message speaks of; as it is where it speaks of none.
absl::Status NamingFile(const config::v1::Pool& pool, const absl::Status& status);

// Reads every file of a pool as serving will, so that what is missing, damaged or does not fit is
// known before anything serves. Where only the experts know the contract, tensors of the length
// that the features and files tell stand for it; what even that does not tell is left to the start.
absl::Status CheckPoolFiles(const config::v1::Pool& pool);

}  // namespace penstock::router
