#include "common/store/redis/event_loop.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "gtest/gtest.h"

namespace penstock {
namespace {

TEST(EventLoopTest, WhoIsWrittenToAfterItHasGoneEndsNoProgram) {
  const auto before = signal(SIGPIPE, SIG_DFL);
  int ends[2] = {-1, -1};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  close(ends[1]);
  ssize_t written = 0;
  int error = 0;
  EventLoop loop;
  loop.Run([&] {
    written = write(ends[0], "x", 1);
    error = errno;
  });
  EXPECT_EQ(written, -1);
  EXPECT_EQ(error, EPIPE);
  close(ends[0]);
  signal(SIGPIPE, before);
}

}  // namespace
}  // namespace penstock
