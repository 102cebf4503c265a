#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace penstock::cli {

// What a command reads from a file. All but the plain ones may be gzipped.
enum class FileForm { kCsv, kJsonLines, kCsvOrJsonLines, kPlainJsonLines, kYaml, kPlainYaml };

// INVALID_ARGUMENT with option, file, what was wanted and what came, where the file's beginning
// cannot be that form: nothing, binary data, gzip within gzip, a JSON array, the other kind of
// text. What is wrong within a form is its reader's to say. An empty path, and what is no regular
// file, is left to the reader as well.
absl::Status CheckFileForm(absl::string_view option, const std::string& path, FileForm form);

}  // namespace penstock::cli
