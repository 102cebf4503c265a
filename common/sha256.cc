#include "common/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

constexpr size_t kPart = 1 << 20;

}  // namespace

struct Sha256Stream::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(state_->context); }

void Sha256Stream::Add(absl::string_view part) {
  EVP_DigestUpdate(state_->context, part.data(), part.size());
}

Sha256Digest Sha256Stream::Finish() {
  Sha256Digest digest{};
  EVP_DigestFinal_ex(state_->context, digest.data(), nullptr);
  return digest;
}

Sha256Digest Sha256(absl::string_view data) {
  Sha256Stream stream;
  stream.Add(data);
  return stream.Finish();
}

std::string ToHex(const Sha256Digest& digest) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

std::string Sha256Hex(absl::string_view data) { return ToHex(Sha256(data)); }

absl::StatusOr<Sha256Digest> Sha256OfFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
  }
  Sha256Stream stream;
  std::vector<char> part(kPart);
  absl::Status status;
  for (;;) {
    const ssize_t got = read(file, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      status =
          absl::UnavailableError(absl::StrCat(path, ": cannot be read: ", std::strerror(errno)));
    }
    if (got <= 0) break;
    stream.Add(absl::string_view(part.data(), static_cast<size_t>(got)));
  }
  close(file);
  if (!status.ok()) return status;
  return stream.Finish();
}

}  // namespace penstock
