#pragma once

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

namespace penstock::gateway {

// Credentials are looked up by digest: neither they nor a part of them is compared or kept.
using Sha256Digest = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

inline Sha256Digest Sha256(absl::string_view text) {
  Sha256Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

// A digest is as good as random: any eight bytes of it are a hash.
struct Sha256DigestHash {
  size_t operator()(const Sha256Digest& digest) const {
    uint64_t hash = 0;
    std::memcpy(&hash, digest.data(), sizeof(hash));
    return hash;
  }
};

// How long it takes says nothing about where two digests differ.
struct Sha256DigestEqual {
  bool operator()(const Sha256Digest& a, const Sha256Digest& b) const {
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
  }
};

}  // namespace penstock::gateway
