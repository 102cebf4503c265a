#include "common/http/listening_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  if (address.ss_family != AF_INET6) return false;
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr) != 0;
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<ListeningSocket> ListenOn(const std::string& field, const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " is \"", address, "\", want HOST:PORT or \"off\""));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);  // an IPv6 address
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                    address.c_str() + colon + 1, &hints, &found);
      error != 0) {
    return absl::UnavailableError(
        absl::StrCat(field, ": cannot listen on ", address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  std::string why;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Descriptor opened(socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    sockaddr_storage bound{};
    socklen_t length = sizeof(bound);
    if (opened.fd() < 0 ||
        setsockopt(opened.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(opened.fd(), at->ai_addr, at->ai_addrlen) != 0 ||
        listen(opened.fd(), SOMAXCONN) != 0 ||
        getsockname(opened.fd(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
      why = std::strerror(errno);
      continue;
    }
    char service[16] = "";
    getnameinfo(reinterpret_cast<sockaddr*>(&bound), length, nullptr, 0, service, sizeof(service),
                NI_NUMERICSERV);
    ListeningSocket listening;
    listening.address = absl::StrCat(address.substr(0, colon), ":", service);
    listening.loopback = IsLoopback(bound);
    listening.socket = std::move(opened);
    return listening;
  }
  return absl::UnavailableError(absl::StrCat(field, ": cannot listen on ", address, ": ", why));
}

}  // namespace penstock
