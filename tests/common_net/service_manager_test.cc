#include "common/net/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::StartsWith;

// What a service manager listens at: a datagram socket of a path, or of the abstract namespace.
class Manager {
 public:
  explicit Manager(const std::string& name) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0) << std::strerror(errno);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    close(fd_);
  }

  // The next message; what was sent is there already. Empty: none was.
  std::string Next() const {
    char text[256];
    const ssize_t size = recv(fd_, text, sizeof(text), MSG_DONTWAIT);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }

 private:
  const int fd_;
};

TEST(ServiceManagerTest, HearsOfReadinessReloadsAndTheEnd) {
  const TempDir dir;
  const Manager manager(dir.File("notify"));
  ServiceManager::Ready();
  ServiceManager::Reloading();
  ServiceManager::Ready();
  ServiceManager::Stopping();
  EXPECT_EQ(manager.Next(), "READY=1");
  EXPECT_THAT(manager.Next(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_EQ(manager.Next(), "READY=1");
  EXPECT_EQ(manager.Next(), "STOPPING=1");
  EXPECT_EQ(manager.Next(), "");
}

TEST(ServiceManagerTest, MayListenInTheAbstractNamespace) {
  const Manager manager(absl::StrCat("@penstock-test-", getpid()));
  ServiceManager::Ready();
  EXPECT_EQ(manager.Next(), "READY=1");
}

TEST(ServiceManagerTest, WithoutOneNothingFails) {
  unsetenv("NOTIFY_SOCKET");
  ServiceManager::Ready();
  for (const std::string& name :
       {std::string(), std::string("relative"), std::string("@"),
        std::string("/nonexistent/notify"), "/" + std::string(500, 'x')}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    ServiceManager::Ready();
  }
  unsetenv("NOTIFY_SOCKET");
}

TEST(ServiceManagerTest, OneThatDoesNotReadIsNotWaitedFor) {
  const TempDir dir;
  const Manager manager(dir.File("notify"));
  // More than the socket's queue holds.
  for (int i = 0; i < 10'000; ++i) ServiceManager::Ready();
  EXPECT_EQ(manager.Next(), "READY=1");
}

}  // namespace
}  // namespace penstock
