#include "common/net/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace penstock {
namespace {

void Send(const std::string& message) {
  const char* const set = std::getenv("NOTIFY_SOCKET");
  const absl::string_view path = set == nullptr ? "" : set;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A path, or a name of the abstract namespace, which is written with '@' for its leading zero.
  if (path.size() < 2 || path.size() >= sizeof(address.sun_path)) return;
  if (path[0] != '/' && path[0] != '@') return;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  // Who started us and no longer listens is not waited for.
  (void)sendto(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&address), size);
  close(fd);
}

}  // namespace

void ServiceManager::Ready() { Send("READY=1"); }

void ServiceManager::Reloading() {
  // The time tells which READY=1 answers it; its clock is the manager's.
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  Send(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=",
                    static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000));
}

void ServiceManager::Stopping() { Send("STOPPING=1"); }

}  // namespace penstock
