#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock::router {

using RecordHash = std::array<uint8_t, 32>;

// BLAKE2b-256(previous || record): RFC 7693 with an output of 32 bytes and no key.
RecordHash HashRecord(const RecordHash& previous, absl::string_view record);

// 64 digits, small letters.
std::string HashToHex(const RecordHash& hash);
// False for anything else than HashToHex writes.
bool HashFromHex(absl::string_view digits, RecordHash& hash);

}  // namespace penstock::router
