#include "cli/client/metrics_scrape.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace penstock::cli {
namespace {

// No exposition of ours comes near this.
constexpr size_t kMaxResponse = 16 << 20;

struct Descriptor {
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  int fd = -1;
};

// A connected socket, or -1.
int Connect(const addrinfo& to) {
  const int fd = socket(to.ai_family, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  const timeval timeout{2, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  if (connect(fd, to.ai_addr, to.ai_addrlen) == 0) return fd;
  close(fd);
  return -1;
}

absl::Status Unreachable(const std::string& address) {
  return absl::UnavailableError(absl::StrCat("no metrics at http://", address, "/metrics"));
}

}  // namespace

absl::StatusOr<std::string> ScrapeMetrics(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("metrics address: wanted HOST:PORT, got ", address));
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);  // an IPv6 address
  }
  if (getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints,
                  &found) != 0) {
    return Unreachable(address);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  // A name may have several addresses (localhost: IPv6 and IPv4) of which the server has one.
  Descriptor socket_;
  for (const addrinfo* at = found; at != nullptr && socket_.fd < 0; at = at->ai_next) {
    socket_.fd = Connect(*at);
  }
  if (socket_.fd < 0) return Unreachable(address);
  const std::string request =
      absl::StrCat("GET /metrics HTTP/1.0\r\nHost: ", address, "\r\nConnection: close\r\n\r\n");
  if (send(socket_.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return Unreachable(address);
  }
  std::string response;
  char buffer[16384];
  for (;;) {
    const ssize_t got = recv(socket_.fd, buffer, sizeof(buffer), 0);
    if (got < 0) return Unreachable(address);
    if (got == 0) break;
    response.append(buffer, static_cast<size_t>(got));
    if (response.size() > kMaxResponse) return Unreachable(address);
  }
  const size_t body = response.find("\r\n\r\n");
  if (body == std::string::npos || !absl::StrContains(response.substr(0, 20), " 200 ")) {
    return Unreachable(address);
  }
  return response.substr(body + 4);
}

double SumOfMetric(absl::string_view text, absl::string_view name) {
  double sum = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, name)) continue;
    const absl::string_view rest = line.substr(name.size());
    if (rest.empty() || (rest.front() != ' ' && rest.front() != '{')) continue;
    const size_t space = rest.rfind('}') == absl::string_view::npos ? 0 : rest.rfind('}') + 1;
    const std::pair<absl::string_view, absl::string_view> value =
        absl::StrSplit(absl::StripPrefix(rest.substr(space), " "), absl::MaxSplits(' ', 1));
    double number = 0;
    if (absl::SimpleAtod(value.first, &number)) sum += number;
  }
  return sum;
}

}  // namespace penstock::cli
