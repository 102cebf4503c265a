#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

using Sha256Digest = std::array<uint8_t, 32>;

Sha256Digest Sha256(absl::string_view data);
// In hex, 64 digits.
std::string Sha256Hex(absl::string_view data);
std::string ToHex(const Sha256Digest& digest);

// Of what comes in parts.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Add(absl::string_view part);
  // Once, after the last part.
  Sha256Digest Finish();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// Of a file's contents, however long. NOT_FOUND where it cannot be opened, UNAVAILABLE where it
// cannot be read.
absl::StatusOr<Sha256Digest> Sha256OfFile(const std::string& path);

}  // namespace penstock
