#include "router_service/pools/cacheable.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "router_service/pools/pool_files.h"

namespace penstock::router {
namespace {

constexpr int64_t kDefaultTtlSeconds = 60;
constexpr int64_t kMaxTtlSeconds = 30 * 24 * 3600;
constexpr int64_t kMinTtlNanos = 1'000'000;
constexpr uint64_t kDefaultMaxEntryBytes = 1 << 20;
constexpr uint64_t kMinMaxEntryBytes = 1 << 10;
constexpr uint64_t kMaxMaxEntryBytes = 1 << 30;

// protobuf writes a map in no fixed order unless it is asked to.
std::string Deterministic(const google::protobuf::Message& message) {
  std::string out;
  {
    google::protobuf::io::StringOutputStream to(&out);
    google::protobuf::io::CodedOutputStream coded(&to);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return out;
}

}  // namespace

absl::StatusOr<v1::CachePolicy> ReadCacheable(const config::v1::Pool& pool) {
  const config::v1::Cacheable& cacheable = pool.cacheable();
  v1::CachePolicy policy;
  if (pool.granularity() != config::v1::Pool::REQUEST) {
    return absl::InvalidArgumentError("cacheable: wanted granularity REQUEST");
  }
  if (cacheable.share_between_tenants() && pool.has_customisation()) {
    return absl::InvalidArgumentError(
        "cacheable.share_between_tenants: the pool has a customisation, whose answers are one "
        "tenant's own");
  }
  policy.mutable_ttl()->set_seconds(kDefaultTtlSeconds);
  if (cacheable.has_ttl()) {
    const auto& ttl = cacheable.ttl();
    const bool positive = ttl.seconds() > 0 || (ttl.seconds() == 0 && ttl.nanos() >= kMinTtlNanos);
    const bool in_time =
        ttl.seconds() < kMaxTtlSeconds || (ttl.seconds() == kMaxTtlSeconds && ttl.nanos() == 0);
    if (!positive || !in_time) {
      return absl::InvalidArgumentError(absl::StrCat("cacheable.ttl is ", ttl.seconds(), " s and ",
                                                     ttl.nanos(), " ns, wanted 1 ms to 30 days"));
    }
    *policy.mutable_ttl() = ttl;
  }
  policy.set_share_between_tenants(cacheable.share_between_tenants());
  policy.set_max_entry_bytes(cacheable.has_max_entry_bytes() ? cacheable.max_entry_bytes()
                                                             : kDefaultMaxEntryBytes);
  if (policy.max_entry_bytes() < kMinMaxEntryBytes ||
      policy.max_entry_bytes() > kMaxMaxEntryBytes) {
    return absl::InvalidArgumentError(absl::StrCat("cacheable.max_entry_bytes is ",
                                                   policy.max_entry_bytes(), ", wanted ",
                                                   kMinMaxEntryBytes, " to ", kMaxMaxEntryBytes));
  }
  return policy;
}

std::string AnswerVersion(const config::v1::Pool& pool) {
  config::v1::Pool answering = pool;
  answering.clear_shadow();
  answering.clear_cacheable();
  return Sha256Hex(absl::StrCat(Deterministic(answering), "\n", DigestOfFiles(answering)));
}

}  // namespace penstock::router
