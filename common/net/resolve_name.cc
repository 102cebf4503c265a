#include "common/net/resolve_name.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock {

absl::Status LookUpStatus(const std::string& host, int error) {
  switch (error) {
    case EAI_NODATA:      // of any family
    case EAI_ADDRFAMILY:  // of one that this machine has
      return absl::OkStatus();
    case EAI_NONAME:
      return absl::NotFoundError(absl::StrCat(host, " is not known"));
    default:
      return absl::UnavailableError(absl::StrCat(host, ": ", gai_strerror(error)));
  }
}

absl::StatusOr<std::vector<std::string>> ResolveName(const std::string& host,
                                                     const std::string& port) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &list); error != 0) {
    PENSTOCK_RETURN_IF_ERROR(LookUpStatus(host, error));
    return std::vector<std::string>();
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, &freeaddrinfo);
  std::set<std::string> addresses;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    std::array<char, NI_MAXHOST> numeric;
    if (getnameinfo(each->ai_addr, each->ai_addrlen, numeric.data(), numeric.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
      continue;
    }
    const std::string text(numeric.data());
    addresses.insert(absl::StrContains(text, ':') ? absl::StrCat("[", text, "]:", port)
                                                  : absl::StrCat(text, ":", port));
  }
  return std::vector<std::string>(addresses.begin(), addresses.end());
}

}  // namespace penstock
