#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "common/tensors/tensor.h"
#include "common/utf8.h"

namespace penstock {
namespace {

absl::string_view DataOf(const SafetensorsTensor& tensor) {
  if (tensor.dtype != "F32") return tensor.raw;
  return {reinterpret_cast<const char*>(tensor.values.data()),
          tensor.values.size() * sizeof(float)};
}

absl::StatusOr<std::vector<SafetensorsView>> ViewsOf(
    const std::vector<SafetensorsTensor>& tensors) {
  std::vector<SafetensorsView> views;
  for (const SafetensorsTensor& tensor : tensors) {
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t count, ElementCount(tensor.shape));
    if (tensor.dtype == "F32" && static_cast<uint64_t>(count) != tensor.values.size()) {
      return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor.name, "': shape ",
                                                     ShapeString(tensor.shape), " takes ", count,
                                                     " values, got ", tensor.values.size()));
    }
    views.push_back({tensor.name, tensor.shape, tensor.dtype, {DataOf(tensor)}});
  }
  return views;
}

// The file's bytes up to the data.
absl::StatusOr<std::string> Header(const std::vector<SafetensorsView>& tensors,
                                   const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata) {
    if (!IsUtf8(key) || !IsUtf8(value)) {
      return absl::InvalidArgumentError("metadata that is not UTF-8");
    }
    header["__metadata__"][key] = value;
  }
  uint64_t offset = 0;
  absl::flat_hash_set<std::string> names;
  for (const SafetensorsView& tensor : tensors) {
    if (tensor.name == "__metadata__" || !IsUtf8(tensor.name) ||
        !names.insert(tensor.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor '", tensor.name, "': a name that is reserved, repeated or not UTF-8"));
    }
    const uint64_t end = offset + tensor.bytes();
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string json = header.dump();
  json.resize((json.size() + 7) / 8 * 8, ' ');  // data starts at a multiple of 8
  const uint64_t size = json.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + json;
}

bool WriteAll(int file, const void* data, size_t size) {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = write(file, from, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    from += written;
    size -= written;
  }
  return true;
}

}  // namespace

uint64_t SafetensorsView::bytes() const {
  uint64_t total = 0;
  for (const absl::string_view piece : pieces) total += piece.size();
  return total;
}

absl::StatusOr<std::string> SafetensorsBytes(const std::vector<SafetensorsTensor>& tensors,
                                             const std::map<std::string, std::string>& metadata) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<SafetensorsView> views, ViewsOf(tensors));
  PENSTOCK_ASSIGN_OR_RETURN(std::string bytes, Header(views, metadata));
  for (const SafetensorsTensor& tensor : tensors) absl::StrAppend(&bytes, DataOf(tensor));
  return bytes;
}

absl::Status WriteSafetensors(const std::string& path,
                              const std::vector<SafetensorsTensor>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<SafetensorsView> views, ViewsOf(tensors));
  return WriteSafetensorsViews(path, views, metadata, nullptr);
}

absl::Status WriteSafetensorsViews(const std::string& path,
                                   const std::vector<SafetensorsView>& tensors,
                                   const std::map<std::string, std::string>& metadata,
                                   const std::function<void(uint64_t)>& progress) {
  constexpr size_t kStep = size_t{1} << 24;
  PENSTOCK_ASSIGN_OR_RETURN(const std::string header, Header(tensors, metadata));
  std::string temporary = path + ".XXXXXX";
  const int file = mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) {
    const int error = errno;
    return absl::ErrnoToStatus(error, absl::StrCat("writing ", path));
  }
  bool written = fchmod(file, 0644) == 0 && WriteAll(file, header.data(), header.size());
  for (const SafetensorsView& tensor : tensors) {
    for (absl::string_view piece : tensor.pieces) {
      while (written && !piece.empty()) {
        const absl::string_view step = piece.substr(0, kStep);
        written = WriteAll(file, step.data(), step.size());
        if (written && progress) progress(step.size());
        piece.remove_prefix(step.size());
      }
    }
  }
  written = written && fsync(file) == 0;
  int error = errno;
  if (close(file) != 0 && written) {
    written = false;
    error = errno;
  }
  if (written && rename(temporary.c_str(), path.c_str()) != 0) {
    written = false;
    error = errno;
  }
  if (written) return absl::OkStatus();
  unlink(temporary.c_str());
  return absl::ErrnoToStatus(error, absl::StrCat("writing ", path));
}

}  // namespace penstock
