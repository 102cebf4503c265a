#pragma once

#include <openssl/crypto.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/sha256.h"

namespace penstock::gateway {

// Credentials are looked up by digest: neither they nor a part of them is compared or kept. A
// digest is as good as random: any eight bytes of it are a hash.
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
