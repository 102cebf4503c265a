#include "router_service/replicas/shared_load/replica_keys.h"

#include <unistd.h>

#include <array>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace penstock::router {
namespace {

bool IsLoopback(absl::string_view address) {
  for (const absl::string_view scheme : {"ipv4:", "ipv6:", "dns:///", "dns:"}) {
    if (absl::ConsumePrefix(&address, scheme)) break;
  }
  for (const absl::string_view host : {"127.", "0.0.0.0:", "[::1]:", "[::]:", "localhost:"}) {
    if (absl::StartsWith(address, host)) return true;
  }
  return false;
}

// What tells a namespace from all others: the boot that it began in, the machine's name as seen
// here, since machines of one image may claim one boot, and its number.
std::string NamespaceName(const std::string& boot, const char* path) {
  std::array<char, 256> host{}, link{};
  const bool named = gethostname(host.data(), host.size() - 1) == 0;
  if (boot.empty() || !named || readlink(path, link.data(), link.size() - 1) <= 0) return "";
  return absl::StrCat(host.data(), "/", boot, "/", link.data());
}

}  // namespace

ReplicaKeys ReplicaKeys::OfThisProcess() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  return {NamespaceName(boot, "/proc/self/ns/net"), NamespaceName(boot, "/proc/self/ns/mnt")};
}

std::optional<std::string> ReplicaKeys::Of(absl::string_view address,
                                           absl::string_view model) const {
  if (absl::StartsWith(address, "inprocess:")) return std::nullopt;
  const std::string name = absl::StrCat(address, "\t", model);
  const bool is_file = absl::StartsWith(address, "unix:");
  // Names of the abstract kind belong to the network's namespace.
  if (!is_file && !IsLoopback(address) && !absl::StartsWith(address, "unix-abstract:")) return name;
  const std::string& place = is_file ? files_ : network_;
  if (place.empty()) return std::nullopt;
  return absl::StrCat(place, "\t", name);
}

}  // namespace penstock::router
