#pragma once

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/tensors/safetensors.h"

namespace penstock::router {

// What a trained file is about to serve as.
struct ArtifactUse {
  absl::string_view kind;           // empty: checked elsewhere
  std::optional<size_t> dimension;  // of the features that it reads; unset: it reads none
  absl::string_view features;       // FeaturesMetadata of those; empty: not known
};

// INVALID_ARGUMENT where the file's metadata "kind", "dimension" or "features" says otherwise: the
// key, what was wanted and what came. A key that the file has not says nothing.
absl::Status CheckArtifactUse(const Safetensors& file, absl::string_view path,
                              const ArtifactUse& use);

}  // namespace penstock::router
