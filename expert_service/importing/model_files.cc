#include "expert_service/importing/model_files.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

namespace fs = std::filesystem;

constexpr char kConfig[] = "config.yaml";
constexpr char kVersion[] = "1";
constexpr char kWeights[] = "model.safetensors";

// A folder that goes when it is not moved away.
class Scratch {
 public:
  static absl::StatusOr<Scratch> In(const std::string& repository) {
    std::string name = absl::StrCat(repository, "/.importing-XXXXXX");
    if (mkdtemp(name.data()) == nullptr) {
      const int error = errno;
      return absl::ErrnoToStatus(error, absl::StrCat("making a folder in ", repository));
    }
    return Scratch(name);
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Scratch(Scratch&& other) noexcept { path_.swap(other.path_); }
  Scratch& operator=(Scratch&&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

absl::Status Failed(absl::string_view what, const std::string& path, const std::error_code& error) {
  return absl::ErrnoToStatus(error.value(), absl::StrCat(what, " ", path));
}

}  // namespace

uint64_t ModelFiles::bytes() const {
  uint64_t total = 0;
  for (const SafetensorsView& tensor : tensors) total += tensor.bytes();
  return total;
}

bool IsModelName(absl::string_view name) {
  constexpr size_t kMost = 200;
  if (name.empty() || name.size() > kMost || name[0] == '.') return false;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) return false;
  }
  return true;
}

absl::Status CheckPlace(const std::string& repository, const std::string& name, bool overwrite) {
  const std::string place = absl::StrCat(repository, "/", name);
  std::error_code error;
  const fs::file_status status = fs::symlink_status(place, error);
  if (!fs::exists(status)) return absl::OkStatus();
  if (!overwrite) return absl::AlreadyExistsError(absl::StrCat(place, " is there already"));
  // Only what an import wrote is replaced: other versions would be read by another's config.yaml.
  if (!fs::is_directory(status)) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, ": wanted a model's folder to overwrite, found something else"));
  }
  for (fs::recursive_directory_iterator it(place, error), end; !error && it != end;
       it.increment(error)) {
    const std::string inside = it->path().lexically_relative(place).string();
    const bool ours =
        inside == kConfig || inside == kVersion || inside == absl::StrCat(kVersion, "/", kWeights);
    if (ours) continue;
    return absl::InvalidArgumentError(absl::StrCat(place, ": wanted only ", kConfig, " and ",
                                                   kVersion, "/", kWeights, " to overwrite, found ",
                                                   inside));
  }
  return error ? Failed("reading", place, error) : absl::OkStatus();
}

absl::Status WriteModel(const std::string& repository, const ModelFiles& model, bool overwrite,
                        const std::function<void(uint64_t)>& progress) {
  if (!IsModelName(model.name)) {
    return absl::InvalidArgumentError(absl::StrCat("no name of a model: ", model.name));
  }
  std::error_code error;
  fs::create_directories(repository, error);
  if (error) return Failed("making", repository, error);
  PENSTOCK_RETURN_IF_ERROR(CheckPlace(repository, model.name, overwrite));

  PENSTOCK_ASSIGN_OR_RETURN(const Scratch scratch, Scratch::In(repository));
  const std::string whole = absl::StrCat(scratch.path(), "/new");
  fs::create_directories(absl::StrCat(whole, "/", kVersion), error);
  if (error) return Failed("making", whole, error);
  PENSTOCK_RETURN_IF_ERROR(WriteSafetensorsViews(absl::StrCat(whole, "/", kVersion, "/", kWeights),
                                                 model.tensors, {}, progress));
  {
    std::ofstream config(absl::StrCat(whole, "/", kConfig), std::ios::binary);
    config << model.config;
    if (!config.flush()) {
      return absl::InternalError(absl::StrCat(whole, "/", kConfig, " cannot be written"));
    }
  }

  const std::string place = absl::StrCat(repository, "/", model.name);
  const std::string old = absl::StrCat(scratch.path(), "/old");
  const bool replaces = fs::exists(fs::symlink_status(place, error));
  if (replaces) {
    fs::rename(place, old, error);
    if (error) return Failed("moving", place, error);
  }
  fs::rename(whole, place, error);
  if (error) {
    const absl::Status failed = Failed("moving a new model to", place, error);
    if (replaces) fs::rename(old, place, error);
    return failed;
  }
  return absl::OkStatus();
}

}  // namespace penstock::expert
