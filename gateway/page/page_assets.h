#pragma once

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock::gateway {

// A file of the live page, as the build took it in (cmake/embed_files.cmake).
struct PageAsset {
  absl::string_view path;  // "/page.js"
  absl::string_view content_type;
  absl::string_view body;
};

absl::Span<const PageAsset> PageAssets();

}  // namespace penstock::gateway
