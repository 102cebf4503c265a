#include "router_service/recording/chain/record_hash.h"

#include <sodium.h>

#include <tuple>

namespace penstock::router {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

RecordHash HashRecord(const RecordHash& previous, absl::string_view record) {
  // Picks the fastest implementation that the processor has; without it the portable one is used.
  static const int initialised = sodium_init();
  (void)initialised;
  RecordHash hash;
  static_assert(crypto_generichash_BYTES == std::tuple_size_v<RecordHash>);
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, hash.size());
  crypto_generichash_update(&state, previous.data(), previous.size());
  crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(record.data()),
                            record.size());
  crypto_generichash_final(&state, hash.data(), hash.size());
  return hash;
}

std::string HashToHex(const RecordHash& hash) {
  std::string digits;
  digits.reserve(2 * hash.size());
  for (const uint8_t byte : hash) {
    digits.push_back(kDigits[byte >> 4]);
    digits.push_back(kDigits[byte & 15]);
  }
  return digits;
}

bool HashFromHex(absl::string_view digits, RecordHash& hash) {
  if (digits.size() != 2 * hash.size()) return false;
  for (size_t i = 0; i < hash.size(); ++i) {
    const int high = DigitOf(digits[2 * i]);
    const int low = DigitOf(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    hash[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace penstock::router
