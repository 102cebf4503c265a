#include "router_service/quality/artifact_checksum.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "common/tensors/tensor.h"

namespace penstock::router {
namespace {

// Of a list of lines, one per tensor, so that neither order nor layout of the file counts.
std::string OfLines(const std::map<std::string, std::string>& lines) {
  std::string text;
  for (const auto& [name, line] : lines) absl::StrAppend(&text, line, "\n");
  return Sha256Hex(text);
}

std::string Line(absl::string_view name, absl::string_view dtype,
                 const std::vector<int64_t>& shape, absl::string_view data) {
  return absl::StrCat(name, " ", dtype, " ", ShapeString(shape), " ", Sha256Hex(data));
}

}  // namespace

std::string ArtifactChecksum(const std::vector<SafetensorsTensor>& tensors) {
  std::map<std::string, std::string> lines;
  for (const SafetensorsTensor& tensor : tensors) {
    const absl::string_view data =
        tensor.dtype == "F32"
            ? absl::string_view(reinterpret_cast<const char*>(tensor.values.data()),
                                tensor.values.size() * sizeof(float))
            : absl::string_view(tensor.raw);
    lines[tensor.name] = Line(tensor.name, tensor.dtype, tensor.shape, data);
  }
  return OfLines(lines);
}

std::string ArtifactChecksum(const Safetensors& file) {
  std::map<std::string, std::string> lines;
  for (const auto& [name, entry] : file.entries()) {
    lines[name] = Line(name, entry.dtype, entry.shape, entry.data);
  }
  return OfLines(lines);
}

absl::Status CheckArtifactChecksum(const Safetensors& file, absl::string_view path) {
  const auto said = file.metadata().find("checksum");
  if (said == file.metadata().end()) return absl::OkStatus();
  if (ArtifactChecksum(file) == said->second) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, " is damaged: its tensors have another checksum than it says"));
}

absl::StatusOr<std::shared_ptr<const Safetensors>> OpenArtifact(const std::string& path) {
  PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<const Safetensors> file, Safetensors::Open(path));
  PENSTOCK_RETURN_IF_ERROR(CheckArtifactChecksum(*file, path));
  return file;
}

}  // namespace penstock::router
