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

// The file's bytes up to the data.
absl::StatusOr<std::string> Header(const std::vector<SafetensorsTensor>& tensors,
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
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.name == "__metadata__" || !IsUtf8(tensor.name) ||
        !names.insert(tensor.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor '", tensor.name, "': a name that is reserved, repeated or not UTF-8"));
    }
    PENSTOCK_ASSIGN_OR_RETURN(const int64_t count, ElementCount(tensor.shape));
    if (tensor.dtype == "F32" && static_cast<uint64_t>(count) != tensor.values.size()) {
      return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor.name, "': shape ",
                                                     ShapeString(tensor.shape), " takes ", count,
                                                     " values, got ", tensor.values.size()));
    }
    const uint64_t end = offset + DataOf(tensor).size();
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

absl::StatusOr<std::string> SafetensorsBytes(const std::vector<SafetensorsTensor>& tensors,
                                             const std::map<std::string, std::string>& metadata) {
  PENSTOCK_ASSIGN_OR_RETURN(std::string bytes, Header(tensors, metadata));
  for (const SafetensorsTensor& tensor : tensors) absl::StrAppend(&bytes, DataOf(tensor));
  return bytes;
}

absl::Status WriteSafetensors(const std::string& path,
                              const std::vector<SafetensorsTensor>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string header, Header(tensors, metadata));
  std::string temporary = path + ".XXXXXX";
  const int file = mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) {
    const int error = errno;
    return absl::ErrnoToStatus(error, absl::StrCat("writing ", path));
  }
  bool written = fchmod(file, 0644) == 0 && WriteAll(file, header.data(), header.size());
  for (const SafetensorsTensor& tensor : tensors) {
    const absl::string_view data = DataOf(tensor);
    written = written && WriteAll(file, data.data(), data.size());
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
