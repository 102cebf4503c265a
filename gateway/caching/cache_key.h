#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/sha256.h"
#include "common/tensors/infer_message.h"

namespace penstock::gateway {

using CacheDigest = Sha256Digest;
using DigestFunction = std::function<CacheDigest(absl::string_view head, const Bytes& tensors)>;
CacheDigest Sha256OfKey(absl::string_view head, const Bytes& tensors);

// All that two requests must have in common to get one answer. The digest only finds candidates:
// what decides is SameKey.
struct CacheKey {
  // Everything but the tensors' bytes, each part with its length, so that no two keys read alike.
  std::string head;
  Bytes tensors;  // of the inputs, one after the other
  CacheDigest digest{};

  size_t size() const { return head.size() + tensors.size(); }
};
bool SameKey(const CacheKey& a, const CacheKey& b);
// With tensors in memory of its own, where `key` shares them with the message that they came in.
CacheKey OwnKey(const CacheKey& key);

// What a key holds beside the request.
struct CacheScope {
  absl::string_view pool;
  absl::string_view version;  // CachePolicy.version
  // Null: tenants share.
  const std::string* tenant = nullptr;
  // A caller without this right may not name experts, so it must not be served what one with it
  // got.
  bool may_force_experts = false;
};

// `inputs`: the request's, decoded, so that typed and raw contents of the same values are one. Left
// out are the request's id, penstock_cache and penstock_explain. Parameters count by name, in
// whatever order they came; inputs and requested outputs in theirs.
CacheKey MakeCacheKey(const CacheScope& scope, const InferRequestHeader& header,
                      const std::vector<Tensor>& inputs, const DigestFunction& digest);

}  // namespace penstock::gateway
